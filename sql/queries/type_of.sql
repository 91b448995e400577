-- A load from another database: a type's name, bare and as SQL writes it.
SELECT t.typname, format_type(t.oid, %(modifier)s)
FROM pg_type AS t
WHERE t.oid = %(oid)s;
