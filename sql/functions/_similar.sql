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
    v_condition CONSTANT pg_catalog.text := rowvec._key_compare(p_source, '=', p_key);
    v_vector @extschema:vector@.vector;
BEGIN
    PERFORM rowvec._refuse_text_options(p_options);
    v_vector := rowvec._vector_of(v_definition, p_key, v_condition);
    RETURN QUERY SELECT * FROM rowvec._search(
        v_definition, v_vector, NULL, p_k, p_filter, p_filter_args, coalesce(p_options, '{}'),
        pg_catalog.format('NOT (%s)', v_condition), NULL::pg_catalog.jsonb);
END
$function$;
