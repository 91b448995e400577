-- Vectors of a sample of rows, held against what the model says now.
SELECT key, similarity
FROM rowvec.verify(%(source)s::pg_catalog.regclass, %(embedding)s::pg_catalog.text, %(sample)s);
