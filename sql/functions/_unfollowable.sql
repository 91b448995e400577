-- Called by _canonical_expressions alone: what the copy's index reads and no index can follow.
CREATE OR REPLACE FUNCTION rowvec._unfollowable(p_source regclass, p_copy regclass)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- In the copy every column is a plain one; what it is in the source, its namesake there says.
    SELECT format('column %I is a virtual generated column', min(s.attname))
    FROM pg_index AS i
    JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid
    JOIN pg_attribute AS c ON c.attrelid = p_copy AND c.attnum = d.refobjsubid
    JOIN pg_attribute AS s ON s.attrelid = p_source AND s.attname = c.attname
    WHERE i.indrelid = p_copy AND s.attgenerated = 'v'
    HAVING count(*) > 0
    UNION ALL
    -- A whole row has its own vector in it, and would always be pending.
    SELECT 'input and filter must name columns, and not the whole row'
    FROM pg_index AS i
    WHERE i.indrelid = p_copy AND concat(i.indexprs, i.indpred) LIKE '%:varattno 0 %'
    LIMIT 1
$function$;
