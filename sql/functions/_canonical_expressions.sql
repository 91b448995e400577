-- Called by create_embedding and alter_embedding: input and filter as Postgres writes them, once it has checked them.
--
-- columns are those that they read; may_raise says whether that may be an error for some row.
CREATE OR REPLACE FUNCTION rowvec._canonical_expressions(
    p_source regclass, p_input text, p_filter text,
    OUT input text, OUT filter text, OUT modality text, OUT columns text[], OUT may_raise boolean
)
-- No search_path of its own: the expressions are the caller's, and mean what they mean to the caller.
LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    c_path CONSTANT pg_catalog.text := pg_catalog.current_setting('search_path');
    v_message pg_catalog.text;
    v_name pg_catalog.text;
    v_copy pg_catalog.regclass;
    v_view pg_catalog.text;
    v_problem pg_catalog.text;
    v_plan pg_catalog.json;
    v_type pg_catalog.regtype;
BEGIN
    PERFORM rowvec._check_expression(p_source, p_input);
    IF p_filter IS NOT NULL THEN
        PERFORM rowvec._check_expression(p_source, p_filter);
    END IF;

    -- An index on an empty copy makes Postgres check what a pending index needs: immutable, no
    -- subquery, no aggregate, a collation. Nothing touches the table itself. The copy bears the name
    -- of the source, which the expressions may have in front of a column.
    SELECT pg_catalog.quote_ident(relname) INTO STRICT v_name
    FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) p_source;
    EXECUTE pg_catalog.format(
        'CREATE TEMPORARY TABLE %s (LIKE %s) ON COMMIT DROP', v_name, p_source);
    v_copy := ('pg_temp.' OPERATOR(pg_catalog.||) v_name)::pg_catalog.regclass;
    v_view := pg_catalog.concat('CREATE TEMPORARY VIEW rowvec_computed AS SELECT ctid AS place, (', p_input,
        E'\n) AS input', ', (' OPERATOR(pg_catalog.||) p_filter OPERATOR(pg_catalog.||) E'\n) AS filter',
        ' FROM pg_temp.', v_name);
    BEGIN
        EXECUTE pg_catalog.concat(
            'CREATE INDEX ON pg_temp.', v_name, ' ((', p_input, E'\n))',
            ' WHERE (' OPERATOR(pg_catalog.||) p_filter OPERATOR(pg_catalog.||) E'\n)');
    EXCEPTION WHEN invalid_object_definition THEN
        GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT;
        RAISE EXCEPTION USING ERRCODE = '42P17',
            MESSAGE = CASE WHEN pg_catalog.strpos(v_message, 'predicate') OPERATOR(pg_catalog.>) 0 THEN
                'the filter is not immutable: for the same row it could change its answer'
                ELSE 'the input is not immutable: for the same row it could give another text' END,
            HINT = rowvec._immutable_hint(pg_catalog.concat(p_input, ' ', p_filter));
    WHEN undefined_function OR undefined_table OR undefined_object THEN
        EXECUTE v_view;
        PERFORM rowvec._refuse_path('pg_temp.rowvec_computed', SQLERRM, SQLSTATE, c_path);
    END;
    v_problem := rowvec._unfollowable(p_source, v_copy);
    IF v_problem IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = v_problem,
            HINT = 'write out the columns, or the expression of the generated column';
    END IF;
    SELECT c.* INTO STRICT input, filter, modality FROM rowvec._index_expressions(v_copy) AS c;
    columns := rowvec._columns_read(v_copy);
    may_raise := rowvec._may_raise(v_copy);
    -- Functions in SQL are written out before Postgres judges the expression, and t || f of a number is one.
    EXECUTE pg_catalog.concat('EXPLAIN (VERBOSE, FORMAT json) SELECT (', p_input, E'\n)',
        ', (' OPERATOR(pg_catalog.||) p_filter OPERATOR(pg_catalog.||) E'\n)', ' FROM pg_temp.', v_name)
    INTO STRICT v_plan;
    v_plan := v_plan OPERATOR(pg_catalog.#>) '{0,Plan,Output}';
    EXECUTE pg_catalog.concat('CREATE INDEX rowvec_written_out ON pg_temp.', v_name,
        ' ((', v_plan OPERATOR(pg_catalog.->>) 0, '))',
        ' WHERE (' OPERATOR(pg_catalog.||) (v_plan OPERATOR(pg_catalog.->>) 1) OPERATOR(pg_catalog.||) ')');
    v_type := rowvec._depends_on_session(v_copy);
    IF v_type IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P17',
            MESSAGE = pg_catalog.format('the text of a %s depends on settings of the session: for the same row the '
                'input or the filter could change', v_type),
            HINT = rowvec._immutable_hint(pg_catalog.concat(p_input, ' ', p_filter), v_type);
    END IF;
    DROP INDEX pg_temp.rowvec_written_out;
    EXECUTE v_view;
    PERFORM rowvec._check_computable(p_source, v_copy, 'pg_temp.rowvec_computed', c_path);
    DROP VIEW pg_temp.rowvec_computed;
    EXECUTE 'DROP TABLE pg_temp.' OPERATOR(pg_catalog.||) v_name;
END
$function$;
