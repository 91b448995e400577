-- Where the operator class of an access method lives; no row where nothing installed has brought it.
SELECT n.nspname
FROM pg_opclass AS oc
JOIN pg_am AS am ON am.oid = oc.opcmethod
JOIN pg_namespace AS n ON n.oid = oc.opcnamespace
WHERE am.amname = %(method)s AND oc.opcname = %(opclass)s;
