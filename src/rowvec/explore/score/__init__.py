"""Texts coloured by where their sentences stand between two poles."""
