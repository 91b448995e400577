"""Cutting texts into chunks: at a model's tokens, or by characters as PostgresML."""
