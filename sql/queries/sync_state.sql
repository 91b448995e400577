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
       rowvec._pending_stamp(e.id) AS stamp,
       e.paused,
       -- It has rows in flight that would be computed twice; what comes meanwhile is its as well.
       EXISTS (
           SELECT FROM rowvec.job AS j
           WHERE j.embedding_id = e.id AND j.kind = 'backfill' AND j.ended_at IS NULL
             AND j.heartbeat_at > now() - interval '15 seconds'
       ) AS is_backfilled,
       (%(sources)s::text[] IS NULL
           OR e.source IN (SELECT to_regclass(s) FROM unnest(%(sources)s::text[]) AS s))
       -- Paths of images mean nothing to a sync that was not told the folder.
       AND (e.modality <> 'image_file' OR %(reads_files)s) AS is_wanted,
       -- A table that is new among them has no index on pending rows.
       (SELECT count(*) FROM pg_inherits AS h WHERE h.inhparent = e.source) AS children,
       ARRAY(
           SELECT c.pid FROM candidate AS c
           WHERE c.lock = hashtextextended('rowvec.sync.candidate:' || e.id, 0)
           ORDER BY c.pid
       ) AS candidates
FROM rowvec.embedding AS e
WHERE rowvec._is_source(e)
ORDER BY e.id;
