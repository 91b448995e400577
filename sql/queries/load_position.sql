-- A load from an API: where an earlier one, of the same into the same table, came to an end.
SELECT p.rest FROM rowvec.load_position AS p
WHERE p.source = to_regclass(%(table)s) AND p.url = %(url)s;
