-- Runs a search for its plan; it gives no rows, see rowvec._run_search.
SELECT count(*)
FROM rowvec.search(
    %(source)s::regclass, %(query)s::text, %(k)s::int, %(filter)s::text, %(filter_args)s::jsonb,
    %(embedding)s::text);
