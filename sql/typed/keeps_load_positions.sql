-- A load from an API: whether it may remember where it ends.
SELECT coalesce(pg_catalog.has_table_privilege(
    pg_catalog.to_regclass('rowvec.load_position')::pg_catalog.oid, 'SELECT, INSERT, UPDATE, DELETE'), false);
