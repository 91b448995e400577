-- A vector a text.
SELECT embedding::text AS embedding FROM rowvec.embed_batch(%(model)s, %(texts)s) AS embedding
