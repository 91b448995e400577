-- A load: the parts of a table's name as written in SQL.
SELECT pg_catalog.parse_ident(%(table)s);
