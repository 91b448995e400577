-- Called by _canonical_expressions alone: the first virtual generated column of the source that the index reads.
CREATE OR REPLACE FUNCTION rowvec._virtual_column(p_source regclass, p_index regclass)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- The copy's column is a plain one of the same name.
    SELECT min(s.attname)
    FROM pg_index AS i
    JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid
    JOIN pg_attribute AS c ON c.attrelid = i.indrelid AND c.attnum = d.refobjsubid
    JOIN pg_attribute AS s ON s.attrelid = p_source AND s.attname = c.attname
    WHERE i.indexrelid = p_index AND s.attgenerated = 'v'
$function$;
