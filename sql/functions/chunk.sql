-- Called by every member of rowvec_user: a text in pieces that the model can read whole.
CREATE OR REPLACE FUNCTION rowvec.chunk(model text, input text, kwargs jsonb DEFAULT '{}')
-- substr(input, start_char + 1, end_char - start_char) is the chunk.
RETURNS TABLE (ordinality int, chunk text, start_char int, end_char int, tokens int)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_answers text[];
BEGIN
    IF input IS NOT NULL THEN
        -- By itself: within unnest(...) the planner would call it once more, to guess the rows.
        v_answers := rowvec._ask('chunk', model, ARRAY[input], kwargs);
        RETURN QUERY
        SELECT c.*
        FROM unnest(v_answers) AS answer,
            jsonb_to_record(answer::jsonb) AS c(
                ordinality int, chunk text, start_char int, end_char int, tokens int);
    END IF;
END
$function$;
