-- A load from an API that ended at a dead page: the next one goes on there.
INSERT INTO rowvec.load_position (source, url, rest)
VALUES (%(table)s::pg_catalog.regclass, %(url)s, %(rest)s)
ON CONFLICT (source, url) DO UPDATE SET rest = excluded.rest, loaded_at = pg_catalog.now();
