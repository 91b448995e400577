-- Called by _search alone: checks k and the options, and gives the settings of pgvector that they ask for.
CREATE OR REPLACE FUNCTION rowvec._search_options(
    p_definition rowvec.embedding, p_k int, p_options jsonb, p_is_filtered boolean
)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_known CONSTANT text[] := ARRAY['current', 'ef_search', 'probes'];
    v_unknown text;
    v_settings jsonb := '{}';
    v_probes text := p_options ->> 'probes';
    v_ef_search text := p_options ->> 'ef_search';
BEGIN
    IF p_k IS NULL OR p_k NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('k must be from 1 to 10000, not %s', coalesce(p_k::text, 'NULL'));
    END IF;
    IF jsonb_typeof(p_options) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE =
            format('options must be a JSON object, not %s', jsonb_typeof(p_options));
    END IF;
    SELECT min(o) INTO v_unknown FROM jsonb_object_keys(p_options) AS o WHERE o <> ALL (c_known);
    IF v_unknown IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('unknown option "%s"', v_unknown),
            HINT = format('known: %s', array_to_string(c_known, ', '));
    END IF;
    IF v_probes !~ '^[1-9][0-9]{0,4}$' OR v_ef_search !~ '^[1-9][0-9]{0,3}$' THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'the options probes and ef_search are whole numbers above 0';
    END IF;
    IF coalesce(jsonb_typeof(p_options -> 'current'), 'boolean') <> 'boolean' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the option current is true or false';
    END IF;

    IF p_definition.index_kind = 'hnsw' THEN
        v_ef_search := coalesce(v_ef_search, p_definition.probes::text);
        -- An hnsw scan ends after ef_search rows.
        v_ef_search := least(greatest(
            coalesce(v_ef_search, current_setting('hnsw.ef_search', true))::int, p_k), 1000);
    ELSE
        v_probes := coalesce(v_probes, p_definition.probes::text);
    END IF;
    v_settings := jsonb_strip_nulls(jsonb_build_object(
        'ivfflat.probes', v_probes, 'hnsw.ef_search', v_ef_search));
    -- A filter leaves out rows after the scan found them: the scan goes on until it has k. Older
    -- versions of pgvector have no such setting.
    IF p_is_filtered OR p_definition.filter IS NOT NULL OR p_options @> '{"current": true}' THEN
        SELECT v_settings || coalesce(jsonb_object_agg(s, 'relaxed_order'), '{}') INTO v_settings
        FROM unnest(ARRAY['ivfflat.iterative_scan', 'hnsw.iterative_scan']) AS s
        WHERE current_setting(s, true) = 'off';
    END IF;
    RETURN v_settings;
END
$function$;
