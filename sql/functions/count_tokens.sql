-- Called by every member of rowvec_user: the tokens that a text has for a model, uncut.
CREATE OR REPLACE FUNCTION rowvec.count_tokens(model text, input text)
RETURNS int
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED COST 100000
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN (rowvec._ask('count_tokens', model, ARRAY[input]))[1];
END
$function$;
