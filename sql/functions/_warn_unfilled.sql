-- Called by _search and _similar_pairs: warns where more than a hundredth of the rows are pending.
--
-- It must cost next to nothing. It counts in the index on pending rows, or in a small table; else in a
-- sample of blocks, since statistics may be old, or none. What was found filled is believed until the
-- second ends: a setting of the session remembers it, and _search does not call again.
CREATE OR REPLACE FUNCTION rowvec._warn_unfilled(p_definition rowvec.embedding)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
-- What was pending when the index was last analysed may be far from what is.
SET enable_seqscan = off
AS $function$
DECLARE
    c_small_bytes CONSTANT bigint := 2 * 1024 * 1024;
    c_counted CONSTANT int := 10000;
    c_sampled_blocks CONSTANT int := 100;
    v_rows float8;
    v_pending float8;
    v_has_index boolean;
    v_percent float8;
    v_is_sampled boolean := false;
    v_ignored text;
BEGIN
    SELECT nullif(c.reltuples, -1),
        EXISTS (
            SELECT FROM pg_index AS i
            WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NOT NULL
                AND pg_get_expr(i.indpred, i.indrelid)
                    LIKE '%' || quote_ident(p_definition.name || '_of') || ' IS DISTINCT FROM%')
    INTO STRICT v_rows, v_has_index
    FROM pg_class AS c
    WHERE c.oid = p_definition.source;
    IF v_has_index THEN
        EXECUTE format('SELECT count(*) FROM (SELECT FROM %s WHERE %s LIMIT %s) AS p',
            p_definition.source, rowvec._pending(p_definition.id), c_counted)
        INTO STRICT v_pending;
    ELSIF pg_table_size(p_definition.source) <= c_small_bytes THEN
        EXECUTE format('SELECT count(*) FILTER (WHERE %s), count(*) FROM %s',
            rowvec._pending(p_definition.id), p_definition.source)
        INTO STRICT v_pending, v_rows;
    ELSE
        v_percent := least(100, 100.0 * c_sampled_blocks * current_setting('block_size')::int
            / pg_relation_size(p_definition.source));
        EXECUTE format(
            'SELECT count(*) FILTER (WHERE s.is_pending), count(*) '
            'FROM (SELECT (%s) AS is_pending FROM %s TABLESAMPLE SYSTEM (%s)) AS s',
            rowvec._pending(p_definition.id), p_definition.source, v_percent)
        INTO STRICT v_pending, v_rows;
        v_is_sampled := true;
    END IF;
    IF v_pending > 0 AND v_pending * 100 > coalesce(v_rows, 0) THEN
        RAISE WARNING USING ERRCODE = '01000',
            MESSAGE = format(
                '%s of %s are pending: what has no vector yet is not found',
                CASE WHEN v_is_sampled THEN
                    format('about %s %% of the rows', ceil(100 * v_pending / v_rows))
                ELSE
                    format('%s%s of %s rows', CASE WHEN v_pending = c_counted THEN 'at least ' END,
                        v_pending,
                        coalesce(greatest(v_rows, v_pending)::text, 'an unknown number of'))
                END,
                p_definition.source),
            HINT = format('rowvec backfill %s fills them',
                rowvec._shell_words(
                    p_definition.source, p_definition.source::text, p_definition.name));
    ELSE
        v_ignored := set_config('rowvec.filled',
            concat_ws(' ', p_definition.id, date_trunc('second', clock_timestamp())), false);
    END IF;
EXCEPTION WHEN undefined_column OR undefined_function OR undefined_object OR datatype_mismatch THEN
    -- A search needs the vectors alone.
    RAISE WARNING USING ERRCODE = '01000',
        MESSAGE = format('pending rows of %s cannot be counted: the embedding "%s" needs what is not there any more',
            p_definition.source, p_definition.name),
        HINT = 'where it was renamed, `rowvec migrate` and every job follow';
END
$function$;
