-- Called by create_embedding and backfill: how many tokens a model reads, NULL where it is not listed.
CREATE OR REPLACE FUNCTION rowvec._max_tokens(p_model text)
RETURNS int
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    -- By itself: within unnest(...) the planner would call it once more, to guess the rows.
    v_answers CONSTANT text[] := rowvec._ask('models');
BEGIN
    RETURN (
        SELECT (m.entry ->> 'max_tokens')::int
        FROM unnest(v_answers) AS answer, LATERAL (SELECT answer::jsonb AS entry) AS m
        WHERE m.entry ->> 'name' = p_model OR m.entry -> 'aliases' ? p_model
    );
END
$function$;
