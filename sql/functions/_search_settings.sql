-- Called by the functions that run a search: pgvector's settings for it, each name before its value.
--
-- A filter, a row-level policy and dead rows take rows away after the index gave them: the scan goes
-- on until it has enough. pgvector before 0.8 has no such setting, and NULL sets nothing.
CREATE OR REPLACE FUNCTION rowvec._search_settings(
    p_definition rowvec.embedding, p_candidates int, p_options jsonb
)
RETURNS text[]
-- It is inlined, as _exchange_settings.
LANGUAGE sql STABLE
RETURN CASE p_definition.index_kind
    WHEN 'hnsw' THEN ARRAY[
        'hnsw.ef_search',
        -- A scan finds ef_search rows before it is done; Postgres takes 1000 at most.
        least(1000, greatest(p_candidates, coalesce(
            p_options ->> 'ef_search', p_definition.ef_search::text,
            current_setting('hnsw.ef_search', true))::int))::text,
        'hnsw.iterative_scan',
        replace(current_setting('hnsw.iterative_scan', true), 'off', 'relaxed_order')]
    ELSE ARRAY[
        'ivfflat.probes',
        coalesce(p_options ->> 'probes', p_definition.probes::text),
        'ivfflat.iterative_scan',
        replace(current_setting('ivfflat.iterative_scan', true), 'off', 'relaxed_order')]
END;
