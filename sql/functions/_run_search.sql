-- Called by _search and similar_pairs: runs a statement of ours under settings that it gives back.
--
-- Without a filter $1, $2 and $3 are the vector, the words and the text of the query; with one,
-- the parameters are the filter's own. Under rowvec.explain it gives no rows: `rowvec explain` finds
-- the plan of the same statement in rowvec.plan.
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
    c_explain CONSTANT pg_catalog.text := CASE WHEN pg_catalog.current_setting('rowvec.explain', true) OPERATOR(pg_catalog.=) 'on'
        THEN 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' END;
    v_plan json;
    v_before CONSTANT pg_catalog.text[] := rowvec._exchange_settings(p_settings);
    v_ignored pg_catalog.text[];
    v_prepared pg_catalog.text;
    v_code pg_catalog.text;
    v_message pg_catalog.text;
    v_detail pg_catalog.text;
    v_hint pg_catalog.text;
BEGIN
    IF c_explain IS NOT NULL AND NOT p_has_filter THEN
        EXECUTE c_explain OPERATOR(pg_catalog.||) p_statement INTO STRICT v_plan USING p_vector, p_tsquery, p_query;
    ELSIF NOT p_has_filter THEN
        RETURN QUERY EXECUTE p_statement USING p_vector, p_tsquery, p_query;
    ELSE
        BEGIN
            IF c_explain IS NOT NULL AND p_filter_args IS NULL THEN
                EXECUTE c_explain OPERATOR(pg_catalog.||) p_statement INTO STRICT v_plan;
            ELSIF p_filter_args IS NULL THEN
                RETURN QUERY EXECUTE p_statement;
            ELSE
                -- PREPARE infers their types from the filter; no value is ever part of it.
                v_prepared := 'rowvec_' OPERATOR(pg_catalog.||) pg_catalog.gen_random_uuid();
                EXECUTE pg_catalog.format('PREPARE %I AS %s', v_prepared, p_statement);
                IF c_explain IS NOT NULL THEN
                    EXECUTE c_explain OPERATOR(pg_catalog.||) rowvec._execute_statement(v_prepared, p_filter_args)
                    INTO STRICT v_plan;
                ELSE
                    RETURN QUERY EXECUTE rowvec._execute_statement(v_prepared, p_filter_args);
                END IF;
                EXECUTE pg_catalog.format('DEALLOCATE %I', v_prepared);
            END IF;
        EXCEPTION WHEN query_canceled OR OTHERS THEN
            GET STACKED DIAGNOSTICS v_code = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT,
                v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
            IF EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE name OPERATOR(pg_catalog.=) v_prepared) THEN
                EXECUTE pg_catalog.format('DEALLOCATE %I', v_prepared);
            END IF;
            -- Raised again: its context would show a statement of which only the filter is the caller's.
            IF v_code OPERATOR(pg_catalog.=) '42P02' THEN
                v_hint := 'filter_args gives the values of $1, $2, ...: ''[4, "new"]''';
            END IF;
            -- What is empty would be shown as an empty line.
            IF v_detail OPERATOR(pg_catalog.<>) '' AND v_hint OPERATOR(pg_catalog.<>) '' THEN
                RAISE EXCEPTION USING ERRCODE = v_code, MESSAGE = v_message, DETAIL = v_detail,
                    HINT = v_hint;
            ELSIF v_detail OPERATOR(pg_catalog.<>) '' THEN
                RAISE EXCEPTION USING ERRCODE = v_code, MESSAGE = v_message, DETAIL = v_detail;
            ELSIF v_hint OPERATOR(pg_catalog.<>) '' THEN
                RAISE EXCEPTION USING ERRCODE = v_code, MESSAGE = v_message, HINT = v_hint;
            ELSE
                RAISE EXCEPTION USING ERRCODE = v_code, MESSAGE = v_message;
            END IF;
        END;
    END IF;

    IF c_explain IS NOT NULL THEN
        PERFORM pg_catalog.set_config('rowvec.plan', pg_catalog.json_build_object(
            'plan', v_plan, 'settings', p_settings)::pg_catalog.text, true);
    END IF;
    v_ignored := rowvec._exchange_settings(v_before);
END
$function$;
