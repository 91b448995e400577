-- Called by create_embedding and _alter: lets an embedding read its rows by functions that raise no error.
--
-- An index on pending rows evaluates input and filter whenever a row is written. Where one of them raises, the
-- application could not write that row; and no job could read any. So a row that raises gives NULL, takes part,
-- and is pending by what it raises, which a job finds and sets aside.
CREATE OR REPLACE FUNCTION rowvec._guard(p_embedding_id bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    -- What says nothing of the row raises as ever.
    c_body CONSTANT text := E'\nBEGIN\n    %s\nEXCEPTION\n    WHEN insufficient_privilege OR insufficient_resources '
        'OR operator_intervention OR system_error THEN\n        RAISE;\n    WHEN OTHERS THEN\n        RETURN %s;\nEND\n';
    v_definition rowvec.embedding;
    v_parameters text;
    v_arguments text;
    v_text text;
    v_function record;
BEGIN
    SELECT * INTO STRICT v_definition FROM rowvec.embedding WHERE id = p_embedding_id;
    SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, NULL)), ', ' ORDER BY a.attnum),
        string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
    INTO STRICT v_parameters, v_arguments
    FROM pg_attribute AS a
    WHERE a.attrelid = v_definition.source AND v_definition.columns ? a.attname AND NOT a.attisdropped;
    v_text := format('CASE WHEN (%s) THEN (%s)::pg_catalog.text END',
        coalesce(v_definition.filter, 'true'), v_definition.input);
    FOR v_function IN
        SELECT * FROM (VALUES
            ('input', 'text', format('RETURN %s;', v_text), 'NULL'),
            ('filter', 'boolean', 'RETURN ' || v_definition.filter || ';', 'true'),
            ('error', 'text', format('PERFORM %s; RETURN NULL;', v_text), 'SQLSTATE')
        ) AS v(name, type, statements, otherwise)
        WHERE statements IS NOT NULL
    LOOP
        -- Another version is another function: an index may still be on the old one.
        EXECUTE format('CREATE FUNCTION rowvec_inputs.%s_%s_%s(%s) RETURNS %s LANGUAGE plpgsql IMMUTABLE '
            'PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS %L',
            v_function.name, p_embedding_id, v_definition.version, v_parameters, v_function.type,
            format(c_body, v_function.statements, v_function.otherwise));
        EXECUTE format('GRANT EXECUTE ON FUNCTION rowvec_inputs.%s_%s_%s TO PUBLIC',
            v_function.name, p_embedding_id, v_definition.version);
    END LOOP;
    UPDATE rowvec.embedding AS e
    SET guarded = jsonb_build_object(
        'input', format('rowvec_inputs.input_%s_%s(%s)', e.id, e.version, v_arguments),
        'filter', CASE WHEN e.filter IS NOT NULL
            THEN format('rowvec_inputs.filter_%s_%s(%s)', e.id, e.version, v_arguments) END,
        'error', format('rowvec_inputs.error_%s_%s(%s)', e.id, e.version, v_arguments))
    WHERE e.id = p_embedding_id;
END
$function$;
