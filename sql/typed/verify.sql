-- Vectors of a sample of rows, held against what the model says now.
SELECT v.key, v.similarity, rowvec._is_same(v.similarity) AS is_same
FROM rowvec.verify(%(source)s::pg_catalog.regclass, %(embedding)s::pg_catalog.text, %(sample)s) AS v;
