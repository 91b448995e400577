-- Makes the table of a kind for an embedding, or finds the one that was made before.
SELECT rowvec._create_derived(%(id)s, %(kind)s, %(columns)s, %(has_key)s);
