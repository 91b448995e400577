-- The passages that answer a question, numbered, within a prompt of so many tokens.
SELECT p.number, p.key, p.distance, coalesce(1 - p.distance / nullif(f.distance, 0), 1) AS relevance,
    p.passage, p.tokens
FROM rowvec._definition(%(source)s::regclass, %(embedding)s) AS d,
    rowvec._farthest(d, rowvec._embed_query(d, %(question)s)) AS f (distance),
    rowvec._passages(
        d, %(question)s, rowvec._room(d, %(question)s, %(max_tokens)s), %(k)s, %(filter)s,
        %(filter_args)s::jsonb, %(options)s::jsonb, %(relevance)s
    ) AS p
ORDER BY p.number;
