-- Called by _prepare_jobs: which columns that input and filter name have another name now; NULL where none has.
--
-- A restore gives columns other numbers. So a name that is there is believed.
CREATE OR REPLACE FUNCTION rowvec._renamed_columns(p_definition rowvec.embedding)
RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT jsonb_object_agg(c.name, a.attname)
    FROM jsonb_each_text(p_definition.columns) AS c(name, number)
    JOIN pg_attribute AS a ON a.attrelid = p_definition.source AND a.attnum = c.number::int AND NOT a.attisdropped
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute AS n
        WHERE n.attrelid = p_definition.source AND n.attname = c.name AND NOT n.attisdropped)
$function$;
