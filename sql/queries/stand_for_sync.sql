-- Tells the other syncs that this one lives, which embeddings it would keep filled, and which it keeps. Gives the
-- transaction.
INSERT INTO rowvec.sync (session, pid, candidate_for, keeps)
VALUES (%(session)s, pg_backend_pid(), %(candidate_for)s::bigint[], %(keeps)s::bigint[])
ON CONFLICT (session) DO UPDATE
SET candidate_for = excluded.candidate_for, keeps = excluded.keeps, seen_at = now()
RETURNING pg_current_xact_id()::text::bigint;
