-- Called by the functions that run a search: the index's settings for it, each name before its value.
--
-- A filter, a row-level policy and dead rows take rows away after the index gave them: the scan goes
-- on until it has enough. What has no such setting (pgvector before 0.8, other access methods) has
-- NULL, and NULL sets nothing. Of an index that rowvec did not make, which the catalog does not know, it is
-- supposed that it is ivfflat.
CREATE OR REPLACE FUNCTION rowvec._search_settings(
    p_definition rowvec.embedding, p_candidates int, p_options jsonb
)
RETURNS text[]
-- It is inlined, as _exchange_settings.
LANGUAGE sql STABLE
RETURN ARRAY[
    coalesce(p_definition.index_kind || '.' || p_definition.setting_name, 'ivfflat.probes'),
    CASE WHEN p_definition.setting_most IS NULL THEN
        coalesce(p_options ->> coalesce(p_definition.setting_name, 'probes'),
            p_definition.setting::text)
    ELSE
        -- A scan gives at most this many rows.
        least(p_definition.setting_most, greatest(p_candidates, coalesce(
            p_options ->> p_definition.setting_name, p_definition.setting::text,
            current_setting(p_definition.index_kind || '.' || p_definition.setting_name, true)
        )::int))::text
    END,
    coalesce(p_definition.index_kind, 'ivfflat') || '.iterative_scan',
    replace(
        current_setting(coalesce(p_definition.index_kind, 'ivfflat') || '.iterative_scan', true),
        'off', 'relaxed_order')];
