-- Called by the owner of a table, and by `rowvec verify`: embeds a sample of rows again and compares.
--
-- One row a row of the sample, the least similar first: 1 is the same direction. Of a row with chunks it is
-- that of the least similar one, and 0 where its text is cut elsewhere now. Rows that are pending are left
-- out; so no answer means that no vector is there to compare.
CREATE OR REPLACE FUNCTION rowvec.verify(
    source regclass, embedding text DEFAULT NULL, sample int DEFAULT 100
)
RETURNS TABLE (key jsonb, similarity float8)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_definition CONSTANT rowvec.embedding := rowvec._definition(source, embedding);
    v_condition CONSTANT text := format('NOT (%s) AND (%s)',
        rowvec._pending(v_definition.id), coalesce(rowvec._qualified(v_definition.filter), 'true'));
BEGIN
    IF sample IS NULL OR sample NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'sample must be from 1 to 10000 rows, not %s', coalesce(sample::text, 'NULL'));
    END IF;
    IF v_definition.destination = 'table' THEN
        RETURN QUERY
        SELECT s.key, s.similarity
        FROM rowvec._chunk_similarities(v_definition, v_condition, sample) AS s
        ORDER BY s.similarity;
    ELSE
        RETURN QUERY
        SELECT s.key, s.similarity
        FROM rowvec._similarities(v_definition, v_condition, sample) AS s
        ORDER BY s.similarity;
    END IF;
END
$function$;
