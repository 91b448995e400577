"""Backfill: embeds all rows of a source that are pending, then ends."""
