-- Called by every member of rowvec_user: the sparse vector of one text; NULL for NULL.
CREATE OR REPLACE FUNCTION rowvec.embed_sparse(model text, input text, kwargs jsonb DEFAULT '{}')
RETURNS @extschema:vector@.sparsevec
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF input IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (rowvec._ask('embed_sparse', model, ARRAY[input], kwargs))[1];
END
$function$;
