-- Called by drop_embedding and alter_embedding: the index on pending rows goes, on every partition.
CREATE OR REPLACE FUNCTION rowvec._drop_pending_index(p_definition rowvec.embedding)
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
            AND pg_get_expr(i.indpred, i.indrelid) LIKE '%hashtextextended(%'
            AND (i.indrelid = p_definition.source
                OR i.indrelid IN (SELECT relid FROM pg_partition_tree(p_definition.source))
                OR i.indrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = p_definition.source))
    LOOP
        EXECUTE format('DROP INDEX %s', v_index);
    END LOOP;
END
$function$;
