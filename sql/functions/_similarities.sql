-- Called by create_embedding and verify: rows of a sample, their vectors held against what the model says now.
CREATE OR REPLACE FUNCTION rowvec._similarities(
    p_definition rowvec.embedding, p_condition text, p_sample int
)
RETURNS TABLE (key jsonb, similarity float8)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    -- Few enough for one answer of a slow model.
    c_at_once CONSTANT int := 64;
    v_rows float8;
    v_percent float8;
    v_keys jsonb[];
    v_inputs text[];
    v_stored @extschema:vector@.vector[];
    v_fresh text[];
BEGIN
    SELECT sum(c.reltuples) INTO v_rows
    FROM pg_class AS c
    WHERE c.oid = p_definition.source
        OR c.oid IN (SELECT relid FROM pg_partition_tree(p_definition.source) WHERE isleaf);
    -- Whole blocks are sampled: enough of them for rows from all over a large table.
    v_percent := least(100, greatest(0.01, 100.0 * 50 * p_sample / greatest(v_rows, 1)));
    -- The innermost FROM has the source alone, so no column of it can be taken for one of ours.
    EXECUTE format(
        $sql$
        SELECT pg_catalog.array_agg(q.k), pg_catalog.array_agg(q.t), pg_catalog.array_agg(q.v)
        FROM (
            SELECT %1$s AS k, (%2$s) AS t, %3$I AS v
            FROM %4$s TABLESAMPLE SYSTEM (%5$s)
            WHERE (%6$s) AND %3$I IS NOT NULL AND (%2$s) IS NOT NULL
            ORDER BY pg_catalog.random()
            LIMIT %7$s
        ) AS q
        $sql$,
        rowvec._key_json(p_definition.source), p_definition.input, p_definition.name,
        p_definition.source, v_percent, p_condition, p_sample)
    INTO STRICT v_keys, v_inputs, v_stored;
    FOR n IN 1..coalesce(cardinality(v_keys), 0) BY c_at_once LOOP
        v_fresh := rowvec._ask(
            CASE p_definition.modality WHEN 'text' THEN 'embed' ELSE 'embed_image' END,
            p_definition.model, v_inputs[n:n + c_at_once - 1],
            rowvec._document_kwargs(p_definition.kwargs, 'truncate'), 'bulk');
        RETURN QUERY
        SELECT u.k, 1 - (u.v OPERATOR(@extschema:vector@.<=>) u.f::@extschema:vector@.vector)
        FROM unnest(v_keys[n:n + c_at_once - 1], v_stored[n:n + c_at_once - 1], v_fresh)
            AS u(k, v, f);
    END LOOP;
END
$function$;
