-- Called by every member of rowvec_user: one vector an input, in order, by one request.
CREATE OR REPLACE FUNCTION rowvec.embed_batch(model text, inputs text[], kwargs jsonb DEFAULT '{}')
RETURNS SETOF @extschema:vector@.vector
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_answers text[];
BEGIN
    IF array_ndims(inputs) > 1 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'inputs must be a one-dimensional array, not one of %s dimensions', array_ndims(inputs));
    END IF;
    IF cardinality(inputs) > 0 THEN
        -- By itself: within unnest(...) the planner would call it once more, to guess the rows.
        v_answers := rowvec._ask('embed', model, inputs, kwargs);
        RETURN QUERY SELECT a::@extschema:vector@.vector FROM unnest(v_answers) AS a;
    END IF;
END
$function$;
