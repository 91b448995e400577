-- Called by context and `rowvec ask`: the texts that answer a question, numbered, within so many tokens.
--
-- A passage is what the row gave the model, of a row in chunks the chunk that matched. What no longer
-- fits is cut, or left out where little of it would be left. Tokens are those of the embedding's model.
CREATE OR REPLACE FUNCTION rowvec._passages(
    p_definition rowvec.embedding,
    p_question text,
    p_max_tokens int,
    p_k int,
    p_filter text,
    p_filter_args jsonb,
    p_options jsonb,
    p_relevance float8
)
RETURNS TABLE (number int, key jsonb, distance float8, passage text, tokens int)
-- No search_path of its own: the filter is the caller's, and means what it means to the caller.
LANGUAGE plpgsql VOLATILE ROWS 10
AS $function$
DECLARE
    c_smallest CONSTANT int := 32;
    -- Around each passage its number and an empty line.
    c_overhead CONSTANT int := 6;
    -- Beside a row that matches, what comes so near to it counts too.
    c_nearly CONSTANT pg_catalog.float8 := 0.8;
    v_question CONSTANT @extschema:vector@.vector := rowvec._embed_query(p_definition, p_question);
    -- That of relevance 0; from there it falls evenly to 0.
    v_farthest CONSTANT pg_catalog.float8 := rowvec._farthest(p_definition, v_question);
    v_left int := p_max_tokens;
    v_counts pg_catalog.text[];
    v_found record;
BEGIN
    number := 0;
    FOR v_found IN
        WITH s AS MATERIALIZED (
            SELECT f.key, f.distance, f.rank, coalesce(
                f."row" OPERATOR(pg_catalog.#>>) '{_chunk,chunk}',
                rowvec._input_of(p_definition.id, f.key), '') AS passage
            FROM (
                SELECT n.*, pg_catalog.min(n.distance) OVER () AS nearest
                FROM rowvec._search(
                    p_definition, v_question, p_question, p_k, p_filter, p_filter_args, p_options,
                    NULL, NULL::pg_catalog.jsonb) AS n
            ) AS f
            WHERE f.nearest OPERATOR(pg_catalog.<=)
                    (v_farthest OPERATOR(pg_catalog.*) (1 OPERATOR(pg_catalog.-) p_relevance))
                AND f.distance OPERATOR(pg_catalog.<=) (v_farthest OPERATOR(pg_catalog.*)
                    (1 OPERATOR(pg_catalog.-) (c_nearly OPERATOR(pg_catalog.*) p_relevance)))
        ), c AS MATERIALIZED (
            SELECT rowvec._ask('count_tokens', p_definition.model,
                pg_catalog.array_agg(s.passage ORDER BY s.rank)) AS counts
            FROM s HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0
        )
        SELECT s.key, s.distance, s.passage,
            c.counts[pg_catalog.row_number() OVER (ORDER BY s.rank)]::int AS tokens
        FROM s CROSS JOIN c
        ORDER BY s.rank
    LOOP
        passage := v_found.passage;
        tokens := v_found.tokens;
        IF tokens OPERATOR(pg_catalog.+) c_overhead OPERATOR(pg_catalog.>) v_left THEN
            CONTINUE WHEN v_left OPERATOR(pg_catalog.-) c_overhead OPERATOR(pg_catalog.<) c_smallest;
            -- By characters, a little less than the share: tokens are not equally long.
            passage := pg_catalog.left(passage, pg_catalog.floor(
                0.9 OPERATOR(pg_catalog.*) pg_catalog.length(passage)
                    OPERATOR(pg_catalog.*) (v_left OPERATOR(pg_catalog.-) c_overhead)
                    OPERATOR(pg_catalog./) tokens)::int) OPERATOR(pg_catalog.||) '...';
            tokens := rowvec.count_tokens(p_definition.model, passage);
            CONTINUE WHEN tokens OPERATOR(pg_catalog.+) c_overhead OPERATOR(pg_catalog.>) v_left;
        END IF;
        number := number OPERATOR(pg_catalog.+) 1;
        key := v_found.key;
        distance := v_found.distance;
        v_left := v_left OPERATOR(pg_catalog.-) tokens OPERATOR(pg_catalog.-) c_overhead;
        RETURN NEXT;
    END LOOP;
END
$function$;
