-- Called by backfill alone: remembers which of some texts are longer than the model reads, and forgets the others.
CREATE OR REPLACE FUNCTION rowvec._record_truncations(
    p_definition rowvec.embedding, p_keys jsonb[], p_inputs text[], p_hashes uuid[]
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    -- A token is a byte at least, but for those that the model adds.
    c_added CONSTANT int := 32;
    v_reads CONSTANT int := rowvec._max_tokens(p_definition.model);
    v_long int[];
    v_inputs text[];
    v_tokens text[];
BEGIN
    DELETE FROM rowvec.truncation
    WHERE embedding_id = p_definition.id AND key = ANY (p_keys);
    SELECT array_agg(i ORDER BY i), array_agg(p_inputs[i] ORDER BY i) INTO v_long, v_inputs
    FROM generate_subscripts(p_inputs, 1) AS i
    WHERE octet_length(p_inputs[i]) + c_added > v_reads;
    IF v_long IS NULL THEN
        RETURN;
    END IF;
    v_tokens := rowvec._ask('count_tokens', p_definition.model, v_inputs,
        rowvec._document_kwargs(p_definition.kwargs, p_definition.on_truncate), 'bulk');
    INSERT INTO rowvec.truncation (embedding_id, key, input_hash, tokens, max_tokens)
    SELECT p_definition.id, p_keys[i], p_hashes[i], tokens::int, v_reads
    FROM unnest(v_long, v_tokens) AS u(i, tokens)
    WHERE tokens::int > v_reads;
END
$function$;
