-- A load from an API: whether it may remember where it ends.
SELECT coalesce(has_table_privilege(
    to_regclass('rowvec.load_position')::oid, 'SELECT, INSERT, UPDATE, DELETE'), false);
