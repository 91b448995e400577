-- Called by _prepare_jobs, _follow_key and _nearest_chunked: key columns of a derived table, with those of the source that they are.
--
-- The foreign key says which, whatever either is called by now; only those that differ in name or type.
CREATE OR REPLACE FUNCTION rowvec._key_of_derived(p_relation regclass, p_source regclass)
RETURNS TABLE (name text, source_name text, source_type text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT d.attname, w.name, format_type(s.atttypid, s.atttypmod)
    FROM pg_constraint AS k
    CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS u(own, theirs)
    JOIN pg_attribute AS d ON d.attrelid = k.conrelid AND d.attnum = u.own
    JOIN pg_attribute AS s ON s.attrelid = k.confrelid AND s.attnum = u.theirs
    -- Its own key comes first; a list of similar rows has that of the other row as well, with other_ in front
    -- as often as it takes.
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN 1 = ANY (k.conkey) THEN s.attname
            WHEN regexp_replace(d.attname, '^(other_)+', '') = regexp_replace(s.attname, '^(other_)+', '')
                THEN d.attname
            ELSE ('other_' || s.attname)::name END AS name
    ) AS w
    WHERE k.contype = 'f' AND k.conrelid = p_relation AND k.confrelid = p_source
        AND (d.attname, d.atttypid, d.atttypmod) IS DISTINCT FROM (w.name, s.atttypid, s.atttypmod)
$function$;
