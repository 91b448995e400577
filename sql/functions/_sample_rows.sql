-- Called by _similarities and _chunk_similarities: rows of a sample, in random order; no vector where it stands elsewhere.
CREATE OR REPLACE FUNCTION rowvec._sample_rows(
    p_definition rowvec.embedding, p_condition text, p_sample int
)
RETURNS TABLE (key jsonb, input text, vector @extschema:vector@.vector)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_rows float8;
    v_percent float8;
BEGIN
    SELECT sum(c.reltuples) INTO v_rows
    FROM pg_class AS c
    WHERE c.oid = p_definition.source
        OR c.oid IN (SELECT relid FROM pg_partition_tree(p_definition.source) WHERE isleaf);
    -- Whole blocks are sampled: enough of them for rows from all over a large table.
    v_percent := least(100, greatest(0.01, 100.0 * 50 * p_sample / greatest(v_rows, 1)));
    -- As the owner of the source. FROM has the source alone, so no column of it can be taken for one of ours.
    RETURN QUERY EXECUTE format(
        'SELECT * FROM rowvec_jobs.act_%s($1, NULL) AS s(key jsonb, input text, vector @extschema:vector@.vector)',
        p_definition.id)
    USING format(
        $sql$
        SELECT %1$s, (%2$s)::pg_catalog.text, %3$s
        FROM %4$s TABLESAMPLE SYSTEM (%5$s)
        WHERE (%6$s) AND (%2$s) IS NOT NULL
        ORDER BY pg_catalog.random()
        LIMIT %7$s
        $sql$,
        rowvec._key_json(p_definition.source), rowvec._qualified(p_definition.input),
        CASE p_definition.destination WHEN 'table' THEN 'NULL::@extschema:vector@.vector'
            ELSE format('%I', p_definition.name) END,
        p_definition.source, v_percent, p_condition, p_sample);
    PERFORM rowvec._refuse_other_path();
END
$function$;
