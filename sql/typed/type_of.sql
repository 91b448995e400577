-- A load from another database: a type's name, bare and as SQL writes it.
SELECT t.typname, pg_catalog.format_type(t.oid, %(modifier)s)
FROM pg_catalog.pg_type AS t
WHERE t.oid OPERATOR(pg_catalog.=) %(oid)s;
