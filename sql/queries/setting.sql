-- One setting of the database.
SELECT value FROM rowvec.setting WHERE name = %(name)s;
