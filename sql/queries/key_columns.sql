-- The columns of a source's primary key, in key order.
SELECT k.name, k.type, t.typsend::text AS send
FROM rowvec._key_columns(%(source)s::regclass) AS k
JOIN pg_type AS t ON t.oid = to_regtype(k.type);
