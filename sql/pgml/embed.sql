-- Called by the SQL of PostgresML's users: the vector of one text.
CREATE OR REPLACE FUNCTION pgml.embed(transformer text, text text, kwargs jsonb DEFAULT '{}')
RETURNS real[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN rowvec.embed(transformer, text, kwargs)::real[];
END
$function$;
REVOKE ALL ON FUNCTION pgml.embed(text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgml.embed(text, text, jsonb) TO rowvec_user;
