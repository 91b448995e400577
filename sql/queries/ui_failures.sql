-- The rows of one embedding that the model refused, the latest first.
SELECT key, sqlstate, message, attempts, first_failed_at, last_failed_at
FROM rowvec.failed_row
WHERE embedding_id = %(id)s
ORDER BY last_failed_at DESC
LIMIT %(limit)s
