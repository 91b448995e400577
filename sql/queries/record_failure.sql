-- Sets a row aside until its input changes; another failure of the same input counts up.
SELECT rowvec._record_failure(
    %(id)s, %(key)s::jsonb, %(input_hash)s, %(sqlstate)s, %(message)s
);
