-- What the worker serves.
SELECT name, kind, dimensions, loaded FROM rowvec.models() ORDER BY name
