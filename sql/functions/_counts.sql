-- Called by the view rowvec.status: the rows of an embedding, and those without their vector.
--
-- NULL where the caller may not read the table, where it is large and counting would read all of it, or
-- where the expressions fail.
CREATE OR REPLACE FUNCTION rowvec._counts(
    p_definition rowvec.embedding, OUT rows bigint, OUT pending bigint
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
    v_is_small boolean;
BEGIN
    -- A table that was dropped leaves its definition behind.
    IF NOT rowvec._is_source(p_definition) OR has_table_privilege(p_definition.source, 'SELECT') IS NOT TRUE THEN
        RETURN;
    END IF;
    -- Before the first ANALYZE or VACUUM reltuples is -1: then the size speaks.
    SELECT sum(CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_relation_size(c.oid) / 100 END)
    INTO v_rows
    FROM pg_class AS c
    WHERE c.relkind = 'r' AND (
        c.oid = p_definition.source
        OR c.oid IN (SELECT relid FROM pg_partition_tree(p_definition.source) WHERE isleaf));
    SELECT EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indrelid = p_definition.source AND i.indisvalid
            AND pg_get_expr(i.indpred, i.indrelid) LIKE '%hashtextextended(%'
            AND pg_get_expr(i.indpred, i.indrelid)
                LIKE '%' || quote_ident(p_definition.name || '_of') || ' IS DISTINCT FROM%'
    ) INTO STRICT v_has_index;
    v_is_small := coalesce(v_rows, 0) <= c_large;
    -- Who sees all rows lends no rights to the functions that the expressions call; whom a policy binds
    -- counts what the policy shows.
    IF NOT row_security_active(p_definition.source::oid) AND has_schema_privilege('rowvec_jobs', 'USAGE') THEN
        EXECUTE format('SELECT * FROM rowvec_jobs.count_%s($1, $2)', p_definition.id)
        INTO STRICT rows, pending
        USING v_is_small, v_is_small OR v_has_index;
        PERFORM rowvec._refuse_other_path();
    ELSE
        IF v_is_small THEN
            EXECUTE format('SELECT count(*) FROM %s WHERE %s',
                p_definition.source, coalesce((rowvec._as_read(p_definition)).filter, 'true'))
            INTO STRICT rows;
        END IF;
        IF v_is_small OR v_has_index THEN
            EXECUTE format('SELECT count(*) FROM %s WHERE %s',
                p_definition.source, rowvec._pending(p_definition.id))
            INTO STRICT pending;
        END IF;
    END IF;
    -- An estimate has the rows in it that a policy hides.
    IF rows IS NULL AND NOT row_security_active(p_definition.source::oid) THEN
        rows := v_rows;
    END IF;
EXCEPTION WHEN OTHERS THEN
    -- A column that is gone, a row that the expressions fail at, whatever a function of the owner's raises:
    -- the job says it, and the other embeddings are shown as ever.
    rows := CASE WHEN NOT row_security_active(p_definition.source::oid) THEN v_rows END;
    pending := NULL;
END
$function$;
