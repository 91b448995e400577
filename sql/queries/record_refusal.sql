-- Sets a row aside that the database refused; gives the sentence that says why.
SELECT rowvec._record_refusal(
    %(id)s, %(key)s::jsonb, %(input_hash)s, %(sqlstate)s, %(constraint)s, %(is_read)s
);
