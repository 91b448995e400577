-- Signs of life of jobs, with what they have done; ages are seconds before now. Gives the transaction.
UPDATE rowvec.job AS j
SET heartbeat_at = now(),
    ended_at = CASE WHEN u.ended THEN now() END,
    rows_done = u.rows_done,
    rows_per_second = u.rows_per_second,
    caught_up_at = coalesce(now() - make_interval(secs => u.caught_up), j.caught_up_at),
    last_error = coalesce(u.error, j.last_error),
    last_error_at = CASE WHEN u.error IS NULL THEN j.last_error_at ELSE now() END
FROM unnest(
    %(ids)s::bigint[], %(ended)s::boolean[], %(rows_done)s::bigint[],
    %(rows_per_second)s::float8[], %(caught_up)s::float8[], %(errors)s::text[]
) AS u (id, ended, rows_done, rows_per_second, caught_up, error)
WHERE j.id = u.id
RETURNING pg_current_xact_id()::text::bigint;
