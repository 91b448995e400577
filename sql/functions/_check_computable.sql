-- Called by _canonical_expressions alone: refuses what only a session with the caller's search_path can compute.
--
-- An index is computed with pg_catalog alone on the path, as are jobs and searches. A function that looks for names
-- of its own on the path of the session then finds none, and only a call tells. So the view over the copy, which
-- has the expressions as the caller means them, is read for some rows of the source, and for one that is made up,
-- since the source may be empty. What says nothing of names is the row's own matter.
CREATE OR REPLACE FUNCTION rowvec._check_computable(
    p_source regclass, p_copy regclass, p_view regclass, p_path text
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_made_up text;
    v_row tid;
BEGIN
    -- What is called here has the caller's rights: so only where it is the owner, whose code it is.
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = p_source AND pg_get_userbyid(relowner) = current_user) THEN
        RETURN;
    END IF;
    SELECT string_agg(format('%s::%s', CASE
            WHEN t.typcategory = 'S' THEN '''x'''
            WHEN t.typcategory = 'N' THEN '''1'''
            WHEN t.typcategory = 'B' THEN '''t'''
            WHEN t.typcategory = 'D' THEN '''2000-01-01'''
            WHEN t.typcategory = 'A' OR t.typname IN ('json', 'jsonb') THEN '''{}'''
            ELSE 'NULL' END, format_type(a.atttypid, NULL)), ', ' ORDER BY a.attnum)
    INTO STRICT v_made_up
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = p_copy AND a.attnum > 0 AND NOT a.attisdropped;
    -- It would refuse rows that raise.
    EXECUTE format('DROP INDEX %s', (SELECT indexrelid::regclass FROM pg_index WHERE indrelid = p_copy));
    BEGIN
        EXECUTE format('INSERT INTO %s VALUES (%s)', p_copy, v_made_up);
    EXCEPTION WHEN integrity_constraint_violation OR data_exception THEN
        NULL;  -- a domain, or a column that must not be NULL, has another idea of a value
    END;
    EXECUTE format('INSERT INTO %s SELECT * FROM %s LIMIT 10', p_copy, p_source);
    FOR v_row IN EXECUTE format('SELECT place FROM %s', p_view) LOOP
        BEGIN
            EXECUTE format('SELECT v.* FROM %s AS v WHERE place = $1', p_view) USING v_row;
        EXCEPTION
            WHEN undefined_function OR undefined_table OR undefined_column OR undefined_object
                OR invalid_schema_name
            THEN
                PERFORM rowvec._refuse_path(p_view, SQLERRM, SQLSTATE, p_path);
            WHEN OTHERS THEN
                NULL;
        END;
    END LOOP;
END
$function$;
