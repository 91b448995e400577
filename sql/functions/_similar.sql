-- Called by similar alone.
CREATE OR REPLACE FUNCTION rowvec._similar(
    p_source regclass,
    p_key jsonb,
    p_k int,
    p_filter text,
    p_filter_args jsonb,
    p_embedding text,
    p_options jsonb
)
RETURNS TABLE (key jsonb, distance float8, rank int, "row" jsonb)
-- No search_path of its own: the filter is the caller's, and means what it means to the caller.
LANGUAGE plpgsql VOLATILE ROWS 10
AS $function$
DECLARE
    v_definition CONSTANT rowvec.embedding := rowvec._definition(p_source, p_embedding);
    v_condition CONSTANT text := rowvec._key_compare(p_source, '=', p_key);
    v_vector @extschema:vector@.vector;
    v_found boolean;
BEGIN
    EXECUTE pg_catalog.format(
        'SELECT true, %I FROM %s WHERE %s', v_definition.name, p_source, v_condition)
    INTO v_found, v_vector;
    IF v_found IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'P0002',
            MESSAGE = pg_catalog.format('%s has no row with the key %s', p_source, p_key);
    ELSIF v_vector IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '55000',
            MESSAGE = pg_catalog.format('the row %s of %s has no vector yet', p_key, p_source),
            HINT = 'rowvec backfill, or CALL rowvec.backfill(...), fills it';
    END IF;
    RETURN QUERY SELECT * FROM rowvec._search(
        v_definition, v_vector, p_k, p_filter, p_filter_args, coalesce(p_options, '{}'),
        'NOT (' || v_condition || ')');
END
$function$;
