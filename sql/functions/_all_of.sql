-- Called by _search and _similar_pairs: SQL that is true where all of these are; NULL where there is none.
CREATE OR REPLACE FUNCTION rowvec._all_of(VARIADIC p_conditions text[])
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- On a line of its own, the parenthesis is closed even behind a comment.
    SELECT string_agg(format(E'(%s\n)', condition), ' AND ' ORDER BY n)
    FROM unnest(p_conditions) WITH ORDINALITY AS c(condition, n)
    WHERE condition IS NOT NULL
$function$;
