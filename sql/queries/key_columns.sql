-- The columns of a source's primary key, in key order.
SELECT k.name, k.type FROM rowvec.embedding AS e, rowvec._key_columns(e.source) AS k WHERE e.id = %(id)s;
