-- Called by _search alone: EXECUTE of a prepared statement with the values of filter_args as literals.
CREATE OR REPLACE FUNCTION rowvec._execute_statement(p_prepared text, p_arguments jsonb)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_types regtype[];
BEGIN
    IF jsonb_typeof(p_arguments) <> 'array' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'filter_args must be a JSON array of the values of $1, $2, ..., not %s',
            jsonb_typeof(p_arguments));
    END IF;
    SELECT parameter_types INTO STRICT v_types
    FROM pg_prepared_statements
    WHERE name = p_prepared;
    IF cardinality(v_types) <> jsonb_array_length(p_arguments) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'filter_args must have a value for each of $1, $2, ... of the filter: %s, not %s',
            cardinality(v_types), jsonb_array_length(p_arguments));
    END IF;
    RETURN format('EXECUTE %I', p_prepared) || coalesce((
        SELECT '(' || string_agg(
            CASE
                WHEN t.typname IN ('json', 'jsonb') THEN quote_literal(value::text)
                WHEN t.typcategory = 'A' AND jsonb_typeof(value) = 'array' THEN
                    quote_literal(ARRAY(SELECT jsonb_array_elements_text(value))::text)
                ELSE quote_nullable(value #>> '{}')
            END, ', ' ORDER BY position) || ')'
        FROM jsonb_array_elements(p_arguments) WITH ORDINALITY AS a(value, position)
        JOIN pg_type AS t ON t.oid = v_types[position]
    ), '');
END
$function$;
