"""Thin batch jobs: each parses its arguments, builds settings and calls rowvec."""
