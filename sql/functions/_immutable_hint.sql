-- Called by _canonical_expressions alone: how to rewrite an expression that is not immutable.
CREATE OR REPLACE FUNCTION rowvec._immutable_hint(p_expression text, p_type regtype DEFAULT NULL)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE
        WHEN p_type = 'bytea'::regtype THEN
            'encode(column, ''hex'') gives one text; an image is the column itself, without a cast'
        WHEN p_type IN ('real'::regtype, 'double precision'::regtype) THEN
            'cast it to numeric first: (column::numeric)::text'
        WHEN p_expression ~* '\m(concat|concat_ws|format)\s*\(' THEN
            'concat, concat_ws and format depend on settings of the session; write '
            'coalesce(title, '''') || '' '' || coalesce(body, '''') instead'
        ELSE
            'use functions that are IMMUTABLE, and casts that depend on no setting of the session'
    END
$function$;
