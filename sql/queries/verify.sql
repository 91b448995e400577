-- Vectors of a sample of rows, held against what the model says now.
SELECT v.key, v.similarity, rowvec._is_same(v.similarity) AS is_same
FROM rowvec.verify(%(source)s::regclass, %(embedding)s::text, %(sample)s) AS v;
