-- The rows that answer a query best.
SELECT key, distance, rank, "row"
FROM rowvec.search(
    source => %(source)s::pg_catalog.regclass,
    query => %(query)s,
    k => %(k)s,
    filter => %(filter)s,
    filter_args => %(filter_args)s::pg_catalog.jsonb,
    embedding => %(embedding)s,
    method => %(method)s,
    rerank => %(rerank)s
);
