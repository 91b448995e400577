-- The rows whose vectors are nearest to that of another row.
SELECT key, distance, rank, "row"
FROM rowvec.similar(
    source => %(source)s::pg_catalog.regclass,
    key => %(key)s::pg_catalog.jsonb,
    k => %(k)s,
    embedding => %(embedding)s
);
