-- Called by the pages of `rowvec ui`: what one row gives the model, NULL where it gives nothing.
CREATE OR REPLACE FUNCTION rowvec._input_of(p_embedding_id bigint, p_key jsonb)
RETURNS text
-- As the caller: a role that may not read the table learns nothing.
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_definition rowvec.embedding;
    v_input text;
BEGIN
    SELECT r.* INTO STRICT v_definition
    FROM rowvec.embedding AS e CROSS JOIN LATERAL rowvec._as_read(e) AS r
    WHERE e.id = p_embedding_id;
    EXECUTE format('SELECT (%s)::text FROM %s WHERE %s', v_definition.input, v_definition.source,
        rowvec._key_compare(v_definition.source, '=', p_key))
    INTO v_input;
    RETURN v_input;
END
$function$;
