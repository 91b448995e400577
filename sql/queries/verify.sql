-- Vectors of a sample of rows, held against what the model says now.
SELECT key, similarity
FROM rowvec.verify(%(source)s::regclass, %(embedding)s::text, %(sample)s);
