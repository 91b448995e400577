"""Revisions, oldest first; one file each, never edited after release."""
