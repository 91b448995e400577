-- Called by _search and _similar_pairs: warns where more than a hundredth of the rows are pending.
--
-- It must cost next to nothing. It counts in the index on pending rows, or in a small table; else
-- it takes ANALYZE's word for the share of rows without a vector. What was found filled is believed
-- until the second ends: a setting of the session remembers it, and _search does not call again.
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
    v_rows float8;
    v_pending float8;
    v_has_index boolean;
    v_share float8;
    v_ignored text;
BEGIN
    SELECT nullif(c.reltuples, -1),
        EXISTS (
            SELECT FROM pg_index AS i
            WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NOT NULL
                AND pg_get_expr(i.indpred, i.indrelid)
                    LIKE '%' || quote_ident(p_definition.name || '_of') || ' IS DISTINCT FROM%'
                AND pg_get_expr(i.indpred, i.indrelid) LIKE '%' || rowvec._recipe(p_definition) || '%')
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
        SELECT s.null_frac INTO v_share
        FROM pg_stats AS s
        WHERE (s.schemaname, s.tablename) = (
                SELECT n.nspname, c.relname
                FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                WHERE c.oid = p_definition.source)
            AND s.attname = CASE p_definition.destination
                WHEN 'column' THEN p_definition.name ELSE p_definition.name || '_of' END
            AND NOT s.inherited;
        v_pending := round(v_rows * v_share);
    END IF;
    IF v_pending > 0 AND v_pending * 100 > coalesce(v_rows, 0) THEN
        RAISE WARNING USING ERRCODE = '01000',
            MESSAGE = format(
                '%s%s of %s rows of %s are pending: what has no vector yet is not found',
                CASE WHEN v_share IS NOT NULL THEN 'about '
                    WHEN v_pending = c_counted THEN 'at least ' END,
                v_pending,
                coalesce(greatest(v_rows, v_pending)::text, 'an unknown number of'),
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
