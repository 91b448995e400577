-- Read by anybody with the role rowvec_user, and by the pages: rows that were set aside, of what the reader may read.
CREATE OR REPLACE VIEW rowvec.failed_row WITH (security_barrier = true) AS
SELECT f.*
FROM rowvec.failure AS f
WHERE rowvec._sees(f.embedding_id, f.key);

COMMENT ON VIEW rowvec.failed_row IS
'The rows of rowvec.failure that the reader may see in their table.';
