-- A load: the parts of a table's name as written in SQL.
SELECT parse_ident(%(table)s);
