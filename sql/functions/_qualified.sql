-- Called by what puts an input or filter into a statement: the expression with Postgres's own names qualified.
--
-- It is as Postgres printed it, with names of others qualified and everything in parentheses: only names in
-- pg_catalog stand bare, for which somebody could make operators and functions that fit the types better.
CREATE OR REPLACE FUNCTION rowvec._qualified(p_expression text)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT string_agg(
        CASE
            WHEN m[2] <> '=>' THEN format('OPERATOR(pg_catalog.%s)', m[2])
            WHEN is_called AND strpos(m[3], '.') = 0 THEN 'pg_catalog.' || m[3]
            ELSE concat(m[1], m[2], m[3], m[4])
        END, '' ORDER BY n)
    FROM (
        SELECT m, n, lead(m[4]) OVER (ORDER BY n) = '(' AS is_called
        FROM regexp_matches(p_expression,
            -- Literals, what is qualified, types, numbers, keywords; operators; names; and all else.
            $re$('(?:[^']|'')*'|OPERATOR\([^)]*\)|$re$
            || $re$::(?:[a-z0-9_. ]|"(?:[^"]|"")*")+(?:\([0-9, ]+\))?|[0-9.]+|[A-Z][A-Z_]*)$re$
            || $re$|([-+*/<>=~!@#%^&|`?]+)$re$
            || $re$|((?:[a-z_][a-z0-9_$]*|"(?:[^"]|"")*")(?:\.(?:[a-z_][a-z0-9_$]*|"(?:[^"]|"")*"|\*))*)$re$
            || $re$|(.)$re$, 'g') WITH ORDINALITY AS t(m, n)
    ) AS tokens
$function$;
