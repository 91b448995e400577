"""Rows as points in the plane, near where their meanings are: computed, stored and drawn."""
