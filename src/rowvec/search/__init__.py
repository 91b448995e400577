"""Indexes over embedding columns, their recall, and searches from the command line."""
