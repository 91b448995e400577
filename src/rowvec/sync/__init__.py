"""Sync: keeps embeddings filled as rows come and change."""
