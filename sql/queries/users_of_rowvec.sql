-- Objects of others that need something in the schema rowvec, and would go with it.
WITH ours AS (
    SELECT 'pg_proc'::regclass AS classid, oid FROM pg_proc
    WHERE pronamespace = 'rowvec'::regnamespace
    UNION ALL
    SELECT 'pg_class'::regclass, oid FROM pg_class WHERE relnamespace = 'rowvec'::regnamespace
    UNION ALL
    SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace = 'rowvec'::regnamespace
),
dependents AS (
    -- A view depends by its rule.
    SELECT CASE WHEN w.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass END AS classid,
           coalesce(w.ev_class, d.objid) AS objid
    FROM pg_depend AS d
    JOIN ours AS o ON o.classid = d.refclassid AND o.oid = d.refobjid
    LEFT JOIN pg_rewrite AS w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
    WHERE d.deptype = 'n'
)
SELECT DISTINCT pg_describe_object(classid, objid, 0)
FROM dependents AS d
WHERE NOT EXISTS (
    SELECT FROM ours AS o WHERE o.classid = d.classid AND o.oid = d.objid
)
-- Constraints and defaults of our own tables.
AND (pg_identify_object(classid, objid, 0)).identity !~ '(^| on | for )rowvec\.'
ORDER BY 1;
