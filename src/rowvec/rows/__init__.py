"""Rows out of files: CSV, JSON and Parquet, their columns, and the types of Postgres for them."""
