-- Called by search and similar: the rows nearest to a vector, under the index's own setting.
CREATE OR REPLACE FUNCTION rowvec._search(
    p_definition rowvec.embedding,
    p_vector @extschema:vector@.vector,
    p_k int,
    p_filter text,
    p_filter_args jsonb,
    p_options jsonb,
    p_condition text DEFAULT 'true'
)
RETURNS TABLE (key jsonb, distance float8, rank int, "row" jsonb)
-- No search_path of its own: the filter is the caller's, and means what it means to the caller.
LANGUAGE plpgsql VOLATILE ROWS 10
AS $function$
DECLARE
    v_options CONSTANT jsonb := rowvec._search_options(p_definition, p_k, p_options,
        p_filter IS NOT NULL);
    v_before jsonb := '{}';
    v_setting text;
    v_value text;
    v_statement text;
    v_prepared text;
BEGIN
    IF p_filter IS NOT NULL THEN
        PERFORM rowvec._check_expression(p_definition.source, p_filter);
    ELSIF p_filter_args IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'filter_args without a filter to use them';
    END IF;
    v_statement := rowvec._search_statement(
        p_definition, p_vector, p_k,
        pg_catalog.concat(
            '(', p_condition, ')',
            CASE WHEN (p_options ->> 'current')::boolean THEN
                pg_catalog.concat(' AND NOT (', rowvec._pending(p_definition.id), ')') END,
            ' AND (' || p_filter || E'\n)'));

    -- An error puts these back by itself: it ends the (sub)transaction that they are local to.
    FOR v_setting, v_value IN SELECT * FROM pg_catalog.jsonb_each_text(v_options) LOOP
        v_before := v_before || pg_catalog.jsonb_build_object(
            v_setting, pg_catalog.current_setting(v_setting));
        PERFORM pg_catalog.set_config(v_setting, v_value, true);
    END LOOP;

    IF p_filter_args IS NULL THEN
        RETURN QUERY EXECUTE v_statement;
    ELSE
        -- PREPARE infers the types of $1, $2, ... from the filter; no value is ever part of it.
        v_prepared := 'rowvec_' || pg_catalog.gen_random_uuid();
        BEGIN
            EXECUTE pg_catalog.format('PREPARE %I AS %s', v_prepared, v_statement);
            RETURN QUERY EXECUTE rowvec._execute_statement(v_prepared, p_filter_args);
            EXECUTE pg_catalog.format('DEALLOCATE %I', v_prepared);
        EXCEPTION WHEN query_canceled OR OTHERS THEN
            IF EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE name = v_prepared) THEN
                EXECUTE pg_catalog.format('DEALLOCATE %I', v_prepared);
            END IF;
            RAISE;
        END;
    END IF;

    FOR v_setting, v_value IN SELECT * FROM pg_catalog.jsonb_each_text(v_before) LOOP
        PERFORM pg_catalog.set_config(v_setting, v_value, true);
    END LOOP;
END
$function$;
