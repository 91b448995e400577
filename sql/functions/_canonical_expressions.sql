-- Called by create_embedding alone: input and filter as Postgres writes them, once it has checked them.
CREATE OR REPLACE FUNCTION rowvec._canonical_expressions(
    p_source regclass, p_input text, p_filter text, OUT input text, OUT filter text
)
-- No search_path of its own: the expressions are the caller's, and mean what they mean to the caller.
LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    v_message text;
    v_index regclass;
    v_problem text;
BEGIN
    PERFORM rowvec._check_expression(p_source, p_input);
    IF p_filter IS NOT NULL THEN
        PERFORM rowvec._check_expression(p_source, p_filter);
    END IF;

    -- An index on an empty copy makes Postgres check what a pending index needs: immutable, no
    -- subquery, no aggregate, a collation. Nothing touches the table itself.
    EXECUTE pg_catalog.format(
        'CREATE TEMPORARY TABLE rowvec_check (LIKE %s) ON COMMIT DROP', p_source);
    BEGIN
        EXECUTE pg_catalog.concat(
            'CREATE INDEX rowvec_check_idx ON pg_temp.rowvec_check ((', p_input, E'\n))',
            ' WHERE (' || p_filter || E'\n)');
    EXCEPTION WHEN invalid_object_definition THEN
        GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT;
        RAISE EXCEPTION USING ERRCODE = '42P17',
            MESSAGE = CASE WHEN v_message LIKE '%predicate%' THEN
                'the filter is not immutable: for the same row it could change its answer'
                ELSE 'the input is not immutable: for the same row it could give another text' END,
            HINT = rowvec._immutable_hint(concat(p_input, ' ', p_filter));
    END;
    v_index := 'pg_temp.rowvec_check_idx'::pg_catalog.regclass;
    v_problem := rowvec._virtual_column(p_source, v_index);
    IF v_problem IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '0A000',
            MESSAGE = pg_catalog.format(
                'column %s is a virtual generated column, which no index can follow', v_problem),
            HINT = 'write its expression out, or make the column STORED';
    END IF;
    SELECT c.input, c.filter INTO STRICT input, filter FROM rowvec._index_expressions(v_index) AS c;
    DROP TABLE pg_temp.rowvec_check;
END
$function$;
