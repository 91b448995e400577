-- Called by every member of rowvec_user: a query in the space of an embedding, to compose by hand.
CREATE OR REPLACE FUNCTION rowvec.embed_query(
    source regclass, query text, embedding text DEFAULT NULL
)
RETURNS @extschema:vector@.vector
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN rowvec._embed_query(rowvec._definition(source, embedding), query);
END
$function$;
