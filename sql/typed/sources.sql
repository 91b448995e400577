-- The tables whose embeddings a sync keeps filled.
SELECT %(sources)s::pg_catalog.text[]::pg_catalog.regclass[]::pg_catalog.oid[];
