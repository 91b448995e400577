-- What one row gives the model.
SELECT rowvec._input_of(%(id)s, %(key)s::jsonb) AS input
