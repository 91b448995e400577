"""A client of the worker for jobs and the command line, over psycopg's libpq."""

from rowvec.client.answers import Embeddings, Ranked, ServedModel, TextChunk
from rowvec.client.worker_client import Priority, WorkerClient

__all__ = ["Embeddings", "Priority", "Ranked", "ServedModel", "TextChunk", "WorkerClient"]
