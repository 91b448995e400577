-- Whether an embedding has an index that rowvec knows of.
SELECT index_kind IS NOT NULL FROM rowvec.embedding WHERE id = %(id)s;
