-- Called by every member of rowvec_user: the k labels with the means nearest to a vector.
--
-- labels is a table with a column "label" (else its key is the label) and one vector column: a row
-- a label, or rows of examples, whose mean is taken.
CREATE OR REPLACE FUNCTION rowvec.classify(
    source_vector @extschema:vector@.vector, labels regclass, k int DEFAULT 1
)
-- score is the cosine, 1 at most.
RETURNS TABLE (label text, score float8)
-- As the caller, who must be able to read the table.
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_label text;
    v_vectors text[];
BEGIN
    IF source_vector IS NULL THEN
        RETURN;
    ELSIF k IS NULL OR k < 1 THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('k must be at least 1, not %s', coalesce(k::text, 'NULL'));
    END IF;
    SELECT
        coalesce(
            min(a.attname) FILTER (WHERE a.attname = 'label'),
            CASE WHEN count(*) FILTER (WHERE a.attnum = ANY (i.indkey)) = 1
                THEN min(a.attname) FILTER (WHERE a.attnum = ANY (i.indkey)) END),
        array_agg(a.attname::text) FILTER (
            WHERE a.atttypid = '@extschema:vector@.vector'::regtype)
    INTO STRICT v_label, v_vectors
    FROM pg_attribute AS a
    LEFT JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = labels AND a.attnum > 0 AND NOT a.attisdropped;
    IF v_label IS NULL OR cardinality(v_vectors) IS DISTINCT FROM 1 THEN
        RAISE EXCEPTION USING ERRCODE = '42809',
            MESSAGE = format('%s is not a table of labels', labels),
            HINT = 'it needs a column "label" or a key of one column, and one vector column';
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT c.label, 1 - (c.centroid OPERATOR(@extschema:vector@.<=>) $1) AS score '
        'FROM (SELECT %1$I::text AS label, @extschema:vector@.avg(%2$I) AS centroid '
        'FROM %3$s WHERE %2$I IS NOT NULL GROUP BY 1) AS c ORDER BY score DESC, 1 LIMIT $2',
        v_label, v_vectors[1], labels)
    USING source_vector, k;
END
$function$;
