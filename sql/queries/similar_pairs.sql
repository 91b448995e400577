-- The nearest others of some rows, by the index.
SELECT p.key::text, p.other_key::text, p.rank, p.distance
FROM rowvec._similar_pairs(
    rowvec._definition(%(source)s::regclass, %(embedding)s), %(k)s, NULL, NULL, '{}', %(keys)s
) AS p;
