-- Remembers that a file of sql/ is in the database in this form.
INSERT INTO rowvec.sql_object (path, sha256)
VALUES (%(path)s, %(sha256)s)
ON CONFLICT (path) DO UPDATE SET sha256 = excluded.sha256, applied_at = now();
