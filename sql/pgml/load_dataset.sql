-- Called by the SQL of PostgresML's users: a dataset of the worker's list, as a new table in pgml.
CREATE OR REPLACE FUNCTION pgml.load_dataset(
    source text, subset text DEFAULT NULL, "limit" bigint DEFAULT NULL, kwargs jsonb DEFAULT '{}'
)
RETURNS TABLE (table_name text, rows bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    -- A page is read in its own time: 23 days stand for no deadline.
    v_deadline_ms CONSTANT int := 2000000000;
    v_notice_every CONSTANT interval := '5 s';
    v_source CONSTANT text := load_dataset.source;
    v_limit CONSTANT bigint := load_dataset."limit";
    v_cursor CONSTANT text := gen_random_uuid();
    v_answers text[];
    v_loaded bigint := 0;
    v_names text;
    v_columns text;
    v_noticed timestamptz := clock_timestamp();
BEGIN
    IF v_source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'source must not be NULL';
    END IF;
    IF v_limit < 0 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'limit must not be negative';
    END IF;
    IF jsonb_typeof(load_dataset.kwargs) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'kwargs must be a JSON object, not %s', jsonb_typeof(load_dataset.kwargs));
    END IF;
    IF to_regclass(format('pgml.%I', v_source)) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P07',
            MESSAGE = format('the table pgml.%I is there already', v_source),
            HINT = 'rename or drop it first: nothing is replaced';
    END IF;

    LOOP
        v_answers := rowvec._call(
            json_build_object(
                'v', 1, 'op', 'dataset', 'model', v_source,
                'kwargs', coalesce(load_dataset.kwargs, '{}'),
                'page', json_build_object(
                    'cursor', v_cursor, 'subset', load_dataset.subset, 'limit', v_limit,
                    'offset', v_loaded)),
            v_deadline_ms);
        IF v_columns IS NULL THEN
            SELECT string_agg(format('%I', c ->> 'name'), ', ' ORDER BY n),
                string_agg(format('%I %s', c ->> 'name', (c ->> 'type')::regtype), ', ' ORDER BY n)
            INTO STRICT v_names, v_columns
            FROM json_array_elements(v_answers[1]::json) WITH ORDINALITY AS t(c, n);
            EXECUTE format('CREATE TABLE pgml.%I (%s)', v_source, v_columns);
            v_answers := v_answers[2:];
        END IF;
        EXIT WHEN coalesce(cardinality(v_answers), 0) = 0;
        EXECUTE format(
            'INSERT INTO pgml.%I (%s) SELECT r.* FROM unnest($1) WITH ORDINALITY AS a(answer, n),'
            ' json_to_record(a.answer::json) AS r(%s) ORDER BY a.n',
            v_source, v_names, v_columns)
        USING v_answers;
        v_loaded := v_loaded + cardinality(v_answers);
        EXIT WHEN v_loaded >= v_limit;
        IF clock_timestamp() > v_noticed + v_notice_every THEN
            RAISE NOTICE 'pgml.%: % rows so far', quote_ident(v_source), v_loaded;
            v_noticed := clock_timestamp();
        END IF;
    END LOOP;
    RAISE NOTICE 'pgml.%: % rows loaded', quote_ident(v_source), v_loaded;
    RETURN QUERY SELECT v_source, v_loaded;
END
$function$;
-- It creates tables: the owner's, unless he grants it.
REVOKE ALL ON FUNCTION pgml.load_dataset(text, text, bigint, jsonb) FROM PUBLIC;
