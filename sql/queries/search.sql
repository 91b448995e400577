-- The rows whose vectors are nearest to a query.
SELECT key, distance, rank, "row"
FROM rowvec.search(
    source => %(source)s::regclass,
    query => %(query)s,
    k => %(k)s,
    filter => %(filter)s,
    filter_args => %(filter_args)s::jsonb,
    embedding => %(embedding)s
);
