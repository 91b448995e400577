-- Gives a shard back.
SELECT pg_advisory_unlock(hashtextextended(
    concat_ws(':', 'rowvec.shard', %(id)s::bigint, %(number)s::int, %(token)s::bigint), 0
));
