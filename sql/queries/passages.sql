-- The passages that answer a question, numbered, within a prompt of so many tokens.
SELECT p.number, p.key, p.distance, p.passage, p.tokens
FROM rowvec._definition(%(source)s::regclass, %(embedding)s) AS d,
    rowvec._passages(
        d, %(question)s, rowvec._room(d, %(question)s, %(max_tokens)s), %(k)s, %(filter)s,
        %(filter_args)s::jsonb, %(options)s::jsonb, %(relevance)s
    ) AS p
ORDER BY p.number;
