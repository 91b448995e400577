-- Called by _search and _similar_pairs: how many rows the index gives, of which k remain.
CREATE OR REPLACE FUNCTION rowvec._candidates(
    p_definition rowvec.embedding, p_k int, p_options jsonb
)
RETURNS int
LANGUAGE sql STABLE
RETURN greatest(
    p_k,
    -- Fused or reranked, or chunks of which several may be one row's.
    CASE WHEN p_options ->> 'method' IN ('text', 'hybrid') OR p_options ? 'rerank'
        OR p_definition.destination = 'table'
    THEN coalesce((p_options ->> 'candidates')::int, 100) END,
    -- Ranked again by the vectors themselves.
    coalesce((p_options ->> 'rescore')::int, p_definition.rescore,
        CASE p_definition.index_storage WHEN 'bit' THEN 200 END));
