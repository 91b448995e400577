-- Called by _search and similar_pairs: runs a statement of ours under settings that it gives back.
--
-- Without a filter $1, $2 and $3 are the vector, the words and the text of the query; with one, the
-- parameters are the filter's own.
CREATE OR REPLACE FUNCTION rowvec._run_search(
    p_statement text,
    p_settings text[],
    p_has_filter boolean,
    p_filter_args jsonb,
    p_vector @extschema:vector@.vector,
    p_tsquery tsquery,
    p_query text,
    p_row anyelement
)
RETURNS TABLE (key jsonb, distance float8, rank int, "row" anyelement)
-- No search_path of its own: the filter is the caller's, and means what it means to the caller.
LANGUAGE plpgsql VOLATILE ROWS 10
AS $function$
DECLARE
    v_before text[];
    v_ignored text;
    v_prepared text;
    v_code text;
    v_message text;
    v_detail text;
    v_hint text;
BEGIN
    -- An error puts these back by itself: it ends the (sub)transaction that they are local to.
    FOR i IN 1..pg_catalog.cardinality(p_settings) BY 2 LOOP
        v_before[i] := pg_catalog.current_setting(p_settings[i]);
        v_ignored := pg_catalog.set_config(p_settings[i], p_settings[i + 1], true);
    END LOOP;

    IF NOT p_has_filter THEN
        RETURN QUERY EXECUTE p_statement USING p_vector, p_tsquery, p_query;
    ELSE
        BEGIN
            IF p_filter_args IS NULL THEN
                RETURN QUERY EXECUTE p_statement;
            ELSE
                -- PREPARE infers their types from the filter; no value is ever part of it.
                v_prepared := 'rowvec_' || pg_catalog.gen_random_uuid();
                EXECUTE pg_catalog.format('PREPARE %I AS %s', v_prepared, p_statement);
                RETURN QUERY EXECUTE rowvec._execute_statement(v_prepared, p_filter_args);
                EXECUTE pg_catalog.format('DEALLOCATE %I', v_prepared);
            END IF;
        EXCEPTION WHEN query_canceled OR OTHERS THEN
            GET STACKED DIAGNOSTICS v_code = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT,
                v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
            IF EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE name = v_prepared) THEN
                EXECUTE pg_catalog.format('DEALLOCATE %I', v_prepared);
            END IF;
            -- Raised anew: the context would show the statement, of which only the filter is theirs.
            RAISE EXCEPTION USING ERRCODE = v_code, MESSAGE = v_message, DETAIL = v_detail,
                HINT = v_hint;
        END;
    END IF;

    FOR i IN 1..pg_catalog.cardinality(p_settings) BY 2 LOOP
        v_ignored := pg_catalog.set_config(p_settings[i], v_before[i], true);
    END LOOP;
END
$function$;
