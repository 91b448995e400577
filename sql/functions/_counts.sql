-- Called by the view rowvec.status: rows of an embedding, those whose vector is not there yet, and those whose
-- vector was adopted on trust.
--
-- NULL where the caller may not read the table, where it is large and counting would read all of it, or
-- where a column is gone that the expressions name.
CREATE OR REPLACE FUNCTION rowvec._counts(
    p_definition rowvec.embedding, OUT rows bigint, OUT pending bigint, OUT unproven bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- The planner takes nearly all rows for pending, and would rather read the table than their index.
SET enable_seqscan = off
AS $function$
DECLARE
    c_large CONSTANT bigint := 100000;
    v_rows bigint;
    v_has_index boolean;
BEGIN
    -- A table that was dropped leaves its definition behind.
    IF has_table_privilege(p_definition.source, 'SELECT') IS NOT TRUE THEN
        RETURN;
    END IF;
    -- Before the first ANALYZE or VACUUM reltuples is -1: then the size speaks.
    SELECT sum(CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_relation_size(c.oid) / 100 END)
    INTO v_rows
    FROM pg_class AS c
    WHERE c.relkind = 'r' AND (
        c.oid = p_definition.source
        OR c.oid IN (SELECT relid FROM pg_partition_tree(p_definition.source) WHERE isleaf));
    IF v_rows > c_large THEN
        rows := v_rows;
    ELSE
        EXECUTE format('SELECT count(*) FROM %s WHERE %s',
            p_definition.source, coalesce(p_definition.filter, 'true'))
        INTO STRICT rows;
    END IF;
    IF p_definition.adopted_before IS NULL THEN
        unproven := 0;
    ELSIF coalesce(v_rows, 0) <= c_large THEN
        EXECUTE format('SELECT count(*) FROM %s WHERE %I = %s', p_definition.source,
            p_definition.name || '_of', rowvec._adopted_hash(p_definition))
        INTO STRICT unproven;
    END IF;

    SELECT EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indrelid = p_definition.source AND i.indisvalid
            AND pg_get_expr(i.indpred, i.indrelid)
                LIKE '%' || quote_ident(p_definition.name || '_of') || ' IS DISTINCT FROM%'
            AND pg_get_expr(i.indpred, i.indrelid) LIKE '%' || rowvec._recipe(p_definition) || '%'
    ) INTO STRICT v_has_index;
    IF coalesce(v_rows, 0) <= c_large OR v_has_index THEN
        EXECUTE format('SELECT count(*) FROM %s WHERE %s',
            p_definition.source, rowvec._pending(p_definition.id))
        INTO STRICT pending;
    END IF;
EXCEPTION WHEN undefined_column OR undefined_function OR undefined_object OR datatype_mismatch THEN
    -- The job says what is missing; the other embeddings are shown as ever.
    rows := v_rows;
    pending := NULL;
    unproven := NULL;
END
$function$;
