-- Called by embed_query, search and search_rows: a query in the space of an embedding.
CREATE OR REPLACE FUNCTION rowvec._embed_query(p_definition rowvec.embedding, p_query text)
RETURNS @extschema:vector@.vector
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_kwargs CONSTANT jsonb := rowvec._query_kwargs(p_definition);
BEGIN
    RETURN rowvec.embed(p_definition.model, p_query, c_kwargs || '{"on_truncate": "error"}');
EXCEPTION WHEN string_data_right_truncation THEN
    RAISE WARNING USING ERRCODE = '01004',
        MESSAGE = 'the end of the query is left out: ' || SQLERRM;
    RETURN rowvec.embed(p_definition.model, p_query, c_kwargs || '{"on_truncate": "truncate"}');
END
$function$;
