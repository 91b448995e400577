-- Called by every member of rowvec_user: the k rows nearest to another row.
CREATE OR REPLACE FUNCTION rowvec.similar(
    source regclass,
    key jsonb,
    k int DEFAULT 10,
    filter text DEFAULT NULL,
    filter_args jsonb DEFAULT NULL,
    embedding text DEFAULT NULL,
    options jsonb DEFAULT '{}'
)
RETURNS TABLE (key jsonb, distance float8, rank int, "row" jsonb)
-- In PL/pgSQL the argument and the column named key would be one variable.
LANGUAGE sql VOLATILE ROWS 10
AS $function$
    SELECT * FROM rowvec._similar($1, $2, $3, $4, $5, $6, $7)
$function$;
