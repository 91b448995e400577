-- Called by create_embedding and alter_embedding: kwargs with the revision that the worker has of the model.
CREATE OR REPLACE FUNCTION rowvec._pinned(p_model text, p_kwargs jsonb)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_answers CONSTANT text[] := rowvec._ask('models');
    v_revision text;
BEGIN
    -- Every request for the column names it, so a worker whose list has moved on refuses, and never
    -- mixes vectors of two revisions.
    SELECT m.entry ->> 'revision' INTO v_revision
    FROM unnest(v_answers) AS answer, LATERAL (SELECT answer::jsonb AS entry) AS m
    WHERE m.entry ->> 'name' = p_model OR m.entry -> 'aliases' ? p_model;
    IF v_revision IS NULL THEN
        RETURN p_kwargs;
    END IF;
    RETURN p_kwargs || jsonb_build_object('revision', v_revision);
END
$function$;
