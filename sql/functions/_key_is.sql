-- Called by truncated and _forget_gone: the SQL condition that the key of a row is that of a jsonb expression.
CREATE OR REPLACE FUNCTION rowvec._key_is(p_source regclass, p_expression text)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- Column by column, of the column's own type: so that the index of the key serves.
    SELECT rowvec._key_condition(p_source, '=', array_agg(format('(%s)::%s',
        CASE k.columns WHEN 1 THEN format('%s #>> ''{}''', p_expression)
            ELSE format('%s ->> %L', p_expression, k.name) END, k.type) ORDER BY k.position))
    FROM (
        SELECT c.*, count(*) OVER () AS columns
        FROM ROWS FROM (rowvec._key_columns(p_source)) WITH ORDINALITY AS c(name, type, position)
    ) AS k
$function$;
