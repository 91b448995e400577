-- The passages that answer a question, numbered, within a prompt of so many tokens.
SELECT p.number, p.key, p.distance, CASE WHEN f.distance OPERATOR(pg_catalog.<>) 0
        THEN 1 OPERATOR(pg_catalog.-) (p.distance OPERATOR(pg_catalog./) f.distance) ELSE 1 END AS relevance,
    p.passage, p.tokens
FROM rowvec._definition(%(source)s::pg_catalog.regclass, %(embedding)s) AS d,
    rowvec._farthest(d, rowvec._embed_query(d, %(question)s)) AS f (distance),
    rowvec._passages(
        d, %(question)s, rowvec._room(d, %(question)s, %(max_tokens)s), %(k)s, %(filter)s,
        %(filter_args)s::pg_catalog.jsonb, %(options)s::pg_catalog.jsonb, %(relevance)s
    ) AS p
ORDER BY p.number;
