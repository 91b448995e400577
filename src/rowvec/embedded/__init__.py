"""A Postgres of our own beside its worker: what `rowvec up` runs and the tests use."""
