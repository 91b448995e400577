-- Holds the definition as it was read until the batch is committed; no row where it has changed.
SELECT FROM rowvec.embedding WHERE id = %(id)s AND version = %(version)s FOR SHARE;
