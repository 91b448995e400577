-- Called by the SQL of PostgresML's users: one vector an input, in order, by one request.
CREATE OR REPLACE FUNCTION pgml.embed(transformer text, inputs text[], kwargs jsonb DEFAULT '{}')
RETURNS SETOF real[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY
    SELECT e.embedding::real[]
    FROM rowvec.embed_batch(transformer, inputs, kwargs) AS e(embedding);
END
$function$;
REVOKE ALL ON FUNCTION pgml.embed(text, text[], jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgml.embed(text, text[], jsonb) TO rowvec_user;
