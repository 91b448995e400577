-- The rows whose vectors are nearest to that of another row.
SELECT key, distance, rank, "row"
FROM rowvec.similar(
    source => %(source)s::regclass,
    key => %(key)s::jsonb,
    k => %(k)s,
    embedding => %(embedding)s
);
