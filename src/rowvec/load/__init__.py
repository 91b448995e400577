"""Rows from files, other databases and the network into a table, by COPY."""
