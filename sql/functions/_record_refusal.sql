-- Called by backfill and the jobs: sets a row aside that the database refused, and gives the sentence that says why.
--
-- What Postgres said stays out of it: a trigger's words, and those about a value, may be the row's text.
CREATE OR REPLACE FUNCTION rowvec._record_refusal(
    p_embedding_id bigint, p_key jsonb, p_input_hash bigint, p_sqlstate text, p_constraint text,
    p_is_read boolean DEFAULT false
)
RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_message text;
BEGIN
    v_message := CASE
        WHEN p_is_read THEN 'the input, or the filter, raises an error for this row'
        WHEN p_sqlstate = '27000' THEN
            'triggers of the table change or undo what is written to this row, which would be pending for ever'
        ELSE concat('the database refused to write this row', (
            -- A trigger may call a constraint what it likes.
            SELECT format(': constraint "%s"', p_constraint)
            WHERE EXISTS (SELECT FROM pg_constraint WHERE conname = p_constraint)
                OR EXISTS (SELECT FROM pg_class WHERE relname = p_constraint AND relkind IN ('i', 'I'))))
        END;
    PERFORM rowvec._record_failure(p_embedding_id, p_key, p_input_hash, p_sqlstate, v_message, 'database');
    RETURN v_message;
END
$function$;
