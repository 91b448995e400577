"""Several backfills of one source at once: processes here, or jobs on Ray."""
