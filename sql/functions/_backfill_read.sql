-- Called by backfill alone: the next pending rows behind a key that have not failed with this text before.
CREATE OR REPLACE FUNCTION rowvec._backfill_read(
    p_definition rowvec.embedding, p_after jsonb, p_rows int,
    OUT keys jsonb[], OUT inputs text[], OUT hashes bigint[], OUT kept boolean[]
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_key_names text;
    v_key_order text;
BEGIN
    SELECT string_agg(format('%I AS o%s', name, position), ', ' ORDER BY position),
        string_agg('o' || position, ', ' ORDER BY position)
    INTO v_key_names, v_key_order
    FROM ROWS FROM (rowvec._key_columns(p_definition.source)) WITH ORDINALITY AS c(name, type, position);
    -- The innermost FROM has the source alone, so no column of it can be taken for one of ours.
    EXECUTE format(
        $sql$
        SELECT pg_catalog.array_agg(b.k), pg_catalog.array_agg(b.t), pg_catalog.array_agg(b.h),
            pg_catalog.array_agg(b.a)
        FROM (
            SELECT q.k, q.t, q.h, q.a
            FROM (
                SELECT %1$s AS k, (%2$s) AS t, pg_catalog.hashtextextended((%2$s), 0) AS h,
                    %10$s AS a, %3$s
                FROM %4$s
                WHERE (%5$s) AND %6$s
            ) AS q
            WHERE NOT EXISTS (
                SELECT FROM rowvec.failure AS f
                WHERE f.embedding_id = %7$s AND f.key = q.k AND f.input_hash = q.h
                    AND (f.next_attempt_at IS NULL OR f.next_attempt_at > pg_catalog.now())
            )
            ORDER BY %8$s
            LIMIT %9$s
        ) AS b
        $sql$,
        rowvec._key_json(p_definition.source), p_definition.input, v_key_names,
        p_definition.source, rowvec._pending(p_definition.id),
        CASE WHEN p_after IS NULL THEN 'true'
            ELSE rowvec._key_compare(p_definition.source, '>', p_after) END,
        p_definition.id, v_key_order, p_rows, rowvec._kept(p_definition.id))
    INTO STRICT keys, inputs, hashes, kept;
EXCEPTION WHEN undefined_column OR undefined_function OR undefined_object OR datatype_mismatch THEN
    RAISE EXCEPTION USING ERRCODE = SQLSTATE,
        MESSAGE = format('the embedding "%s" of %s needs what is not there any more: %s',
            p_definition.name, p_definition.source, SQLERRM),
        HINT = format('rename it back, or say the new expression: rowvec.alter_embedding(%L, %L, input => ...)',
            p_definition.source, p_definition.name);
END
$function$;
