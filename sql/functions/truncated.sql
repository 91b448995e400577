-- Called by the owner of a table, and by `rowvec status --truncated`: rows with a text that was cut off.
CREATE OR REPLACE FUNCTION rowvec.truncated(source regclass, embedding text DEFAULT NULL)
RETURNS TABLE (key jsonb, tokens int, max_tokens int, lost int)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_definition CONSTANT rowvec.embedding := rowvec._definition(source, embedding);
BEGIN
    -- By the source's index, a row each: few are long. Those that have changed or gone since are not.
    RETURN QUERY EXECUTE format(
        'SELECT rowvec_long.key, rowvec_long.tokens, rowvec_long.max_tokens, '
        'rowvec_long.tokens - rowvec_long.max_tokens '
        'FROM rowvec.truncation AS rowvec_long WHERE rowvec_long.embedding_id = %s AND EXISTS ('
        'SELECT FROM %s WHERE %s AND %s = rowvec_long.input_hash) '
        'ORDER BY rowvec_long.tokens DESC, rowvec_long.key',
        v_definition.id, v_definition.source,
        rowvec._key_is(v_definition.source, 'rowvec_long.key'), rowvec._row_hash(rowvec._as_read(v_definition)));
END
$function$;
