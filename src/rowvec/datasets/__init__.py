"""Datasets in local folders: which are listed, their files, their rows."""
