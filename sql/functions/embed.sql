-- Called by every member of rowvec_user: the vector of one text; NULL for NULL.
CREATE OR REPLACE FUNCTION rowvec.embed(model text, input text, kwargs jsonb DEFAULT '{}')
RETURNS @extschema:vector@.vector
-- STABLE lets ORDER BY ... <=> embed(...) use an index; IMMUTABLE would call the worker to plan.
-- The cost makes the planner prefer that index to a call per row.
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF input IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (rowvec._ask('embed', model, ARRAY[input], kwargs))[1];
END
$function$;
