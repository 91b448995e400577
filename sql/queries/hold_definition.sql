-- Holds the definition as it was read until the batch is committed; no row where it has changed. Tells whether
-- anything is remembered of its rows, since mostly there is nothing to forget.
SELECT EXISTS (SELECT FROM rowvec.failure AS f WHERE f.embedding_id = e.id)
       OR EXISTS (SELECT FROM rowvec.truncation AS t WHERE t.embedding_id = e.id) AS remembers
FROM rowvec.embedding AS e
WHERE e.id = %(id)s AND e.version = %(version)s
FOR SHARE OF e;
