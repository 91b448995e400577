"""Indexes over embedding columns: which kind, their build, their recall, their settings."""
