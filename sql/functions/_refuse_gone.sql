-- Called by _take_shard and _backfill_read: says that input or filter of an embedding name what is not there any more.
CREATE OR REPLACE FUNCTION rowvec._refuse_gone(p_embedding_id bigint, p_sqlstate text, p_message text, p_context text)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_definition rowvec.embedding;
BEGIN
    SELECT * INTO STRICT v_definition FROM rowvec.embedding WHERE id = p_embedding_id;
    RAISE EXCEPTION USING ERRCODE = p_sqlstate,
        -- What a function of the table's owner says may have words of a row in it.
        MESSAGE = format('the embedding "%s" of %s needs what is not there any more%s',
            v_definition.name, v_definition.source,
            CASE WHEN p_context ~ '^\S+ \S+ rowvec_jobs\.' THEN ': ' || p_message END),
        HINT = format('rename it back, or say the new expression: rowvec.alter_embedding(%L, %L, input => ...)',
            v_definition.source, v_definition.name);
END
$function$;
