-- What is known of the earlier texts of rows that are written anew: truncations, and failures unless they fail again.
WITH truncated AS (
    DELETE FROM rowvec.truncation
    WHERE embedding_id = %(id)s AND key = ANY (%(keys)s::jsonb[])
)
DELETE FROM rowvec.failure
WHERE embedding_id = %(id)s AND key = ANY (%(settled)s::jsonb[]);
