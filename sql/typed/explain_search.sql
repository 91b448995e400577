-- Runs a search for its plan; it gives no rows, see rowvec._run_search.
SELECT pg_catalog.count(*)
FROM rowvec.search(
    %(source)s::pg_catalog.regclass, %(query)s::pg_catalog.text, %(k)s::int, %(filter)s::pg_catalog.text, %(filter_args)s::pg_catalog.jsonb,
    %(embedding)s::pg_catalog.text);
