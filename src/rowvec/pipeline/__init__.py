"""Fills embedding columns: read pending rows, embed them, write their vectors."""
