-- The columns of a source's primary key, in key order.
SELECT name, type FROM rowvec._key_columns(%(source)s::regclass);
