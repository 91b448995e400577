-- Rows that were written need no failure any more.
DELETE FROM rowvec.failure
WHERE embedding_id = %(id)s AND key = ANY (%(keys)s::jsonb[]);
