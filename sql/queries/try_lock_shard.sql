-- Shows that the holder with this token lives; the lock dies with its connection.
SELECT pg_try_advisory_lock(hashtextextended(
    concat_ws(':', 'rowvec.shard', %(id)s::bigint, %(number)s::int, %(token)s::bigint), 0
));
