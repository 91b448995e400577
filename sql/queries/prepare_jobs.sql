-- Makes the functions by which jobs reach the rows of an embedding, where they are not as they have to be.
SELECT rowvec._prepare_jobs(%(id)s);
