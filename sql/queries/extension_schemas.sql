-- Where vector and dblink live, and whether everybody may use that schema.
SELECT e.extname,
       quote_ident(n.nspname) AS schema,
       EXISTS (
           SELECT
           FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
           WHERE a.grantee = 0 AND a.privilege_type = 'USAGE'
       ) AS is_public
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname IN ('vector', 'dblink');
