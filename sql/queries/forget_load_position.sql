-- A load from an API that came to the end: the next one begins at the beginning.
DELETE FROM rowvec.load_position WHERE source = %(table)s::regclass AND url = %(url)s;
