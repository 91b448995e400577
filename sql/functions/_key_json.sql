-- Called by _search, _counts, backfill, the jobs and export: the SQL expression of a row's key as jsonb.
CREATE OR REPLACE FUNCTION rowvec._key_json(p_source regclass)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE
        WHEN count(*) = 1 THEN format('pg_catalog.to_jsonb(%I)', min(name))
        ELSE format('pg_catalog.jsonb_build_object(%s)',
            string_agg(format('%L, %I', name, name), ', '))
    END
    FROM rowvec._key_columns(p_source)
$function$;
