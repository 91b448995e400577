-- What migrate made in these schemas, as it is now: a hash of definitions, owners, and the rights of our roles.
SELECT o.name, encode(sha256(convert_to(string_agg(o.state, E'\n' ORDER BY o.state COLLATE "C"), 'UTF8')), 'hex')
FROM (
    SELECT d.name, concat_ws(' ', d.object, d.owner::regrole, d.definition, (
        SELECT string_agg(a.grantee::regrole || ':' || a.privilege_type, ',' ORDER BY 1)
        FROM aclexplode(d.acl) AS a
        -- What an owner gave to others besides is the owner's own affair.
        WHERE a.grantee IN (0, d.owner, to_regrole('rowvec_user'), to_regrole('rowvec_caller'))
    )) AS state
    FROM (
        SELECT split_part(nspname, '_', 1), nspname::text, nspowner, NULL, coalesce(nspacl, acldefault('n', nspowner))
        FROM pg_namespace
        WHERE nspname IN ('pgml', 'rowvec', 'rowvec_jobs', 'rowvec_inputs')
        UNION ALL
        SELECT 'rowvec', relname, relowner, CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END,
            coalesce(relacl, acldefault('r', relowner))
        FROM pg_class
        WHERE relnamespace = to_regnamespace('rowvec') AND relkind IN ('r', 'v')
        UNION ALL
        SELECT split_part(n.nspname, '_', 1), p.oid::regprocedure::text, p.proowner, pg_get_functiondef(p.oid),
            coalesce(p.proacl, acldefault('f', p.proowner))
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE p.prokind IN ('f', 'p') AND (n.nspname IN ('pgml', 'rowvec')
            -- The others there are made for an embedding each.
            OR n.nspname = 'rowvec_inputs' AND p.proname = 'words')
        UNION ALL
        SELECT 'rowvec', srvname, srvowner, NULL, coalesce(srvacl, acldefault('S', srvowner))
        FROM pg_foreign_server
        WHERE srvname = 'rowvec_worker'
    ) AS d (name, object, owner, definition, acl)
) AS o
WHERE o.name = ANY (%(schemas)s)
GROUP BY o.name;
