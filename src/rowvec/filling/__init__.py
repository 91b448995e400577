"""Fills embedding columns: reads pending rows, embeds them, writes their vectors."""
