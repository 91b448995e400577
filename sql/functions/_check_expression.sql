-- Called by create_embedding and _search: refuses what is not one SQL expression over a row of the source.
CREATE OR REPLACE FUNCTION rowvec._check_expression(p_source regclass, p_expression text)
RETURNS void
-- No search_path of its own: the expression is the caller's, and means what it means to the caller.
LANGUAGE plpgsql STABLE
AS $function$
DECLARE
    v_cursor refcursor;
    v_statement pg_catalog.text;
BEGIN
    -- What is an operand within parentheses has no second statement, no clause, no open comment or
    -- quote, unless it closes the parenthesis first; what is also a SELECT list without them does
    -- not. Opening a cursor parses one statement, and runs nothing.
    FOREACH v_statement IN ARRAY ARRAY[E'SELECT (%s\n) FROM %s', E'SELECT %s\n FROM %s'] LOOP
        BEGIN
            OPEN v_cursor FOR EXECUTE pg_catalog.format(v_statement, p_expression, p_source);
            CLOSE v_cursor;
        EXCEPTION
            WHEN undefined_parameter THEN
                NULL;  -- $1 of a filter: the syntax was right, and PREPARE will know the parameter
            WHEN syntax_error THEN
                RAISE EXCEPTION USING ERRCODE = '42601',
                    MESSAGE = pg_catalog.format('%s in the expression (%s)', SQLERRM, p_expression),
                    HINT = pg_catalog.format('one SQL expression over a row of %s is expected: of an input'
                        ' such as title || '' '' || coalesce(body, ''''), of a filter such as stars >= 4',
                        p_source);
            WHEN invalid_cursor_definition THEN
                RAISE EXCEPTION USING ERRCODE = '42601',
                    MESSAGE = 'one SQL expression is expected, and this is more than one statement';
        END;
    END LOOP;
END
$function$;
