"""A vector for every row: embeddings inside Postgres, computed by a worker beside it."""

from importlib.metadata import version

__version__ = version("rowvec")
