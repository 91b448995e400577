-- Whether a table of this kind was made from an embedding.
SELECT rowvec._derived(%(id)s, %(kind)s) IS NOT NULL AS found
