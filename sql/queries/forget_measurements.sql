-- What was measured of an index before.
DELETE FROM rowvec.measurement WHERE embedding_id = %(id)s;
