-- Every embedding that a sync may keep filled: who would, and whether a backfill is at it.
WITH candidate AS MATERIALIZED (
    SELECT (l.classid::bigint << 32) | l.objid::bigint AS lock, l.pid
    FROM pg_locks AS l
    WHERE l.locktype = 'advisory'
      AND l.objsubid = 1
      AND l.mode = 'ShareLock'
      AND l.granted
      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
)
SELECT e.id,
       e.source::text AS source,
       e.name,
       e.version,
       e.paused,
       -- It has rows in flight that would be computed twice; what comes meanwhile is its as well.
       EXISTS (
           SELECT FROM rowvec.job AS j
           WHERE j.embedding_id = e.id AND j.kind = 'backfill' AND j.ended_at IS NULL
             AND j.heartbeat_at > now() - interval '15 seconds'
       ) AS is_backfilled,
       (%(sources)s::oid[] IS NULL OR e.source = ANY (%(sources)s::oid[]))
       -- Paths of images mean nothing to a sync that was not told the folder.
       AND (e.modality <> 'image_file' OR %(reads_files)s) AS is_wanted,
       ARRAY(
           SELECT c.pid FROM candidate AS c
           WHERE c.lock = hashtextextended('rowvec.sync.candidate:' || e.id, 0)
           ORDER BY c.pid
       ) AS candidates
FROM rowvec.embedding AS e
JOIN pg_class AS c ON c.oid = e.source
ORDER BY e.id;
