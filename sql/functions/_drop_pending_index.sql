-- Called by drop_embedding and backfill: the index on pending rows goes, on every partition.
--
-- One that bears the stamp p_keeps stays.
CREATE OR REPLACE FUNCTION rowvec._drop_pending_index(
    p_definition rowvec.embedding, p_keeps text DEFAULT NULL
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $function$
DECLARE
    v_index regclass;
BEGIN
    -- By what it is, not by its name: names are cut, and people rename.
    FOR v_index IN
        SELECT DISTINCT i.indexrelid
        FROM pg_index AS i
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = p_definition.name || '_of'
        JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
            AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
            AND d.refobjsubid = a.attnum
        -- That of a partition goes with its parent's.
        WHERE NOT (SELECT c.relispartition FROM pg_class AS c WHERE c.oid = i.indexrelid)
            AND pg_get_expr(i.indpred, i.indrelid) LIKE '%IS DISTINCT FROM%'
            AND (p_keeps IS NULL OR obj_description(i.indexrelid, 'pg_class') IS DISTINCT FROM p_keeps
                OR EXISTS (
                    SELECT FROM pg_partition_tree(i.indexrelid) AS t
                    WHERE obj_description(t.relid, 'pg_class') <> p_keeps))
            AND (i.indrelid = p_definition.source
                OR i.indrelid IN (SELECT relid FROM pg_partition_tree(p_definition.source))
                OR i.indrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = p_definition.source))
    LOOP
        -- A job may be building, or dropping, the same one: what it has done until the lock is there counts.
        EXECUTE format('LOCK TABLE %s', p_definition.source);
        IF EXISTS (SELECT FROM pg_class WHERE oid = v_index) THEN
            EXECUTE format('DROP INDEX %s', v_index);
        END IF;
    END LOOP;
END
$function$;
