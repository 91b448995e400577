-- Called by backfill alone: the next pending rows between two keys that have not failed with this text before.
--
-- Read as the owner of the source. A row's key comes as jsonb, and as an array of text written as text.
CREATE OR REPLACE FUNCTION rowvec._backfill_read(
    p_definition rowvec.embedding, p_after text, p_upto text[], p_rows int,
    OUT keys jsonb[], OUT row_keys text[], OUT inputs text[], OUT hashes bigint[], OUT kept boolean[],
    OUT errors text[], OUT last text
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_context text;
    v_after text := p_after;
    v_read bigint;
BEGIN
    -- Those that failed are read as well: until there is something to do, or nothing left.
    LOOP
        EXECUTE format(
            $sql$
            SELECT array_agg(r.json_key) FILTER (WHERE NOT f.failed),
                array_agg(r.row_key::text) FILTER (WHERE NOT f.failed),
                array_agg(r.input) FILTER (WHERE NOT f.failed),
                array_agg(r.input_hash) FILTER (WHERE NOT f.failed),
                array_agg(r.is_kept) FILTER (WHERE NOT f.failed),
                array_agg(r.error) FILTER (WHERE NOT f.failed),
                (array_agg(r.row_key::text ORDER BY r.place DESC))[1], count(*)
            FROM rowvec_jobs.read_%1$s($1, $2, $3, true)
                WITH ORDINALITY AS r(row_key, json_key, input, input_hash, is_kept, error, place)
            CROSS JOIN LATERAL (
                SELECT EXISTS (
                    SELECT FROM rowvec.failure AS f
                    WHERE f.embedding_id = %1$s AND f.key = r.json_key AND f.input_hash = r.input_hash
                        AND (f.next_attempt_at IS NULL OR f.next_attempt_at > now())
                )
            ) AS f(failed)
            $sql$, p_definition.id)
        INTO STRICT keys, row_keys, inputs, hashes, kept, errors, last, v_read
        USING v_after::text[], p_upto, p_rows;
        PERFORM rowvec._refuse_other_path();
        EXIT WHEN keys IS NOT NULL OR v_read = 0;
        v_after := last;
    END LOOP;
EXCEPTION WHEN undefined_column OR undefined_function OR undefined_object OR datatype_mismatch THEN
    GET STACKED DIAGNOSTICS v_context = PG_EXCEPTION_CONTEXT;
    RAISE EXCEPTION USING ERRCODE = SQLSTATE,
        -- What a function of the table's owner says may have words of a row in it.
        MESSAGE = format('the embedding "%s" of %s needs what is not there any more%s',
            p_definition.name, p_definition.source,
            CASE WHEN v_context ~ '^\S+ \S+ rowvec_jobs\.' THEN ': ' || SQLERRM END),
        HINT = format('rename it back, or say the new expression: rowvec.alter_embedding(%L, %L, input => ...)',
            p_definition.source, p_definition.name);
END
$function$;
