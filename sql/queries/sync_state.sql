-- Every embedding that a sync may keep filled: who would, who does, and whether a backfill is at it.
WITH living AS MATERIALIZED (
    -- A session that ended is gone at once; one that froze, or whose backend is another's by now, soon.
    SELECT s.* FROM rowvec.sync AS s JOIN pg_stat_activity AS a ON a.pid = s.pid
    WHERE s.seen_at > now() - interval '15 seconds'
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
       -- A table that is new among them has no index on pending rows.
       (SELECT count(*) FROM pg_inherits AS h WHERE h.inhparent = e.source) AS children,
       ARRAY(
           SELECT l.session FROM living AS l WHERE e.id = ANY (l.candidate_for) ORDER BY l.session
       ) AS candidates,
       EXISTS (
           SELECT FROM living AS l WHERE e.id = ANY (l.keeps) AND l.session <> %(session)s
       ) AS is_kept_elsewhere
FROM rowvec.embedding AS e
WHERE rowvec._is_source(e)
ORDER BY e.id;
