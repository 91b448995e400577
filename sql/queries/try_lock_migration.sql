-- One migration at a time: whether we have the lock, else who has it without any part in rowvec, and its pid.
WITH lock AS MATERIALIZED (
    SELECT hashtextextended(%(name)s, 0) AS key, pg_try_advisory_lock(hashtextextended(%(name)s, 0)) AS is_held
)
SELECT lock.is_held, (
    SELECT ARRAY[r.rolname::text, l.pid::text]
    FROM pg_locks AS l
    JOIN pg_stat_activity AS a ON a.pid = l.pid
    JOIN pg_roles AS r ON r.oid = a.usesysid
    WHERE NOT lock.is_held AND l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (l.classid::bigint << 32) | l.objid::bigint = lock.key
        AND NOT (r.rolsuper OR r.rolname = current_user
            OR pg_has_role(r.oid, to_regrole('rowvec_caller'), 'MEMBER') IS TRUE)
    LIMIT 1
)
FROM lock;
