-- Called by anybody with the role rowvec_user: one vector an input, in order, by one request.
CREATE OR REPLACE FUNCTION rowvec.embed_batch(model text, inputs text[], kwargs jsonb DEFAULT '{}')
RETURNS SETOF @extschema:vector@.vector
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF array_ndims(inputs) > 1 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'inputs must be a one-dimensional array, not one of %s dimensions', array_ndims(inputs));
    END IF;
    IF cardinality(inputs) > 0 THEN
        RETURN QUERY
        SELECT answer::@extschema:vector@.vector
        FROM unnest(rowvec._ask('embed', model, inputs, kwargs)) AS answer;
    END IF;
END
$function$;
