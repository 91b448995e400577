-- The columns of a source's primary key, in key order.
SELECT k.name, k.type FROM rowvec._key_columns(%(source)s::regclass) AS k;
