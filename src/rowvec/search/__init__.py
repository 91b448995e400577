"""Finds rows: searches, what one does, and the table of similar rows."""
