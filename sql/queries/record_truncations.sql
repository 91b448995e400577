-- Rows whose vector is that of the beginning of their text.
INSERT INTO rowvec.truncation (embedding_id, key, input_hash, tokens, max_tokens)
SELECT %(id)s, t.*
FROM unnest(
    %(keys)s::jsonb[], %(hashes)s::uuid[], %(tokens)s::int[], %(max_tokens)s::int[]
) AS t
ON CONFLICT (embedding_id, key) DO UPDATE
SET input_hash = excluded.input_hash,
    tokens = excluded.tokens,
    max_tokens = excluded.max_tokens,
    truncated_at = now();
