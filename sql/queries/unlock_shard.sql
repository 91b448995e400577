-- Gives a shard back.
SELECT pg_advisory_unlock(hashtextextended(
    'rowvec.shard:' || %(id)s::bigint || ':' || %(number)s::int, 0
));
