-- Called by the functions that run a search: pgvector's settings for it, names and values by turns.
CREATE OR REPLACE FUNCTION rowvec._search_settings(
    p_definition rowvec.embedding, p_candidates int, p_options jsonb
)
RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_settings text[] := '{}';
    v_name text;
    v_value text;
BEGIN
    IF p_definition.index_kind = 'hnsw' THEN
        -- A scan finds ef_search rows before it is done; Postgres takes 1000 at most.
        v_value := least(1000, greatest(p_candidates, coalesce(
            p_options ->> 'ef_search', p_definition.ef_search::text,
            current_setting('hnsw.ef_search', true))::int));
        v_settings := ARRAY['hnsw.ef_search', v_value];
    ELSE
        v_value := coalesce(p_options ->> 'probes', p_definition.probes::text);
        IF v_value IS NOT NULL THEN
            v_settings := ARRAY['ivfflat.probes', v_value];
        END IF;
    END IF;
    -- A filter, a row-level policy and dead rows take rows away after the index gave them: the scan
    -- goes on until it has enough. pgvector before 0.8 has no such setting.
    v_name := coalesce(p_definition.index_kind, 'ivfflat') || '.iterative_scan';
    IF current_setting(v_name, true) = 'off' THEN
        v_settings := v_settings || ARRAY[v_name, 'relaxed_order'];
    END IF;
    RETURN v_settings;
END
$function$;
