-- What a role could do beyond reading, one reason a row: by itself, or by a role that it is a member of.
WITH reachable AS (
    -- Every membership counts, inherited or not: SET ROLE needs none of the role's own rights.
    SELECT
        r.*,
        CASE WHEN r.rolname = %(role)s THEN 'it' ELSE 'its role ' || r.rolname END AS subject
    FROM pg_catalog.pg_roles AS r
    WHERE pg_catalog.pg_has_role(%(role)s, r.oid, 'MEMBER')
),
granted AS (
    SELECT 'table' AS kind, c.oid::regclass::text AS name, a.*
    FROM pg_catalog.pg_class AS c
    CROSS JOIN pg_catalog.aclexplode(c.relacl) AS a
    -- The one view that everybody may update: it sets parameters of one's own session.
    WHERE c.oid <> 'pg_catalog.pg_settings'::regclass
    UNION ALL
    SELECT 'column', c.attrelid::regclass::text || '.' || c.attname, a.*
    FROM pg_catalog.pg_attribute AS c
    CROSS JOIN pg_catalog.aclexplode(c.attacl) AS a
    UNION ALL
    SELECT 'schema', n.nspname, a.*
    FROM pg_catalog.pg_namespace AS n
    CROSS JOIN pg_catalog.aclexplode(n.nspacl) AS a
    UNION ALL
    SELECT 'database', d.datname, a.*
    FROM pg_catalog.pg_database AS d
    CROSS JOIN pg_catalog.aclexplode(d.datacl) AS a
    WHERE d.datname = pg_catalog.current_database()
    UNION ALL
    SELECT 'tablespace', t.spcname, a.*
    FROM pg_catalog.pg_tablespace AS t
    CROSS JOIN pg_catalog.aclexplode(t.spcacl) AS a
    UNION ALL
    SELECT 'large object', l.oid::text, a.*
    FROM pg_catalog.pg_largeobject_metadata AS l
    CROSS JOIN pg_catalog.aclexplode(l.lomacl) AS a
    UNION ALL
    SELECT 'server', s.srvname, a.*
    FROM pg_catalog.pg_foreign_server AS s
    CROSS JOIN pg_catalog.aclexplode(s.srvacl) AS a
    UNION ALL
    SELECT 'foreign-data wrapper', w.fdwname, a.*
    FROM pg_catalog.pg_foreign_data_wrapper AS w
    CROSS JOIN pg_catalog.aclexplode(w.fdwacl) AS a
    UNION ALL
    SELECT 'parameter', p.parname, a.*
    FROM pg_catalog.pg_parameter_acl AS p
    CROSS JOIN pg_catalog.aclexplode(p.paracl) AS a
    UNION ALL
    -- Of Postgres's own functions those that not everybody may execute, such as pg_read_file.
    SELECT 'function', f.oid::regprocedure::text, a.*
    FROM pg_catalog.pg_proc AS f
    CROSS JOIN pg_catalog.aclexplode(f.proacl) AS a
    WHERE f.pronamespace = 'pg_catalog'::regnamespace AND a.grantee <> 0
)
SELECT 1 AS rank, r.subject || ' ' || CASE
    WHEN r.rolsuper THEN 'is a superuser'
    WHEN r.rolcreaterole THEN 'may make roles (CREATEROLE)'
    WHEN r.rolcreatedb THEN 'may make databases (CREATEDB)'
    WHEN r.rolreplication THEN 'may replicate (REPLICATION)'
    ELSE 'is above policies (BYPASSRLS)' END AS reason
FROM reachable AS r
WHERE r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
UNION
-- pg_read_all_data among them: it looks into the schema of dblink, and reads the worker's password.
SELECT 2, 'it is a member of ' || r.rolname
FROM reachable AS r
WHERE r.rolname LIKE 'pg\_%%' AND r.rolname NOT IN
    ('pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables')
UNION
SELECT 3, pg_catalog.concat(r.subject, ' owns ', coalesce(
    CASE WHEN o.dbid = (SELECT oid FROM pg_catalog.pg_database
                        WHERE datname = pg_catalog.current_database()) OR o.dbid = 0
        THEN pg_catalog.pg_describe_object(o.classid, o.objid, 0) END,
    'something in another database'))
FROM reachable AS r
JOIN pg_catalog.pg_shdepend AS o
    ON o.refclassid = 'pg_catalog.pg_authid'::regclass AND o.refobjid = r.oid AND o.deptype = 'o'
UNION
SELECT 4, pg_catalog.concat(r.subject, ' may grant the role ', m.roleid::regrole)
FROM reachable AS r
JOIN pg_catalog.pg_auth_members AS m ON m.member = r.oid AND m.admin_option
UNION
SELECT 6, pg_catalog.concat(
    coalesce(r.subject, 'everybody'), ' has ', g.privilege_type, ' on ', g.kind, ' ', g.name)
FROM granted AS g
LEFT JOIN reachable AS r ON r.oid = g.grantee
WHERE (g.grantee = 0 OR r.oid IS NOT NULL AND r.rolname NOT LIKE 'pg\_%%')
    AND CASE g.kind
        WHEN 'schema' THEN g.privilege_type = 'CREATE'
        WHEN 'database' THEN g.privilege_type = 'CREATE'
        ELSE g.privilege_type <> 'SELECT' END
UNION
SELECT 5, r.subject || ' may call dblink, which connects to anywhere'
FROM reachable AS r
JOIN pg_catalog.pg_extension AS e ON e.extname = 'dblink'
JOIN pg_catalog.pg_depend AS d ON d.deptype = 'e'
    AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
    AND d.classid = 'pg_catalog.pg_proc'::regclass
JOIN pg_catalog.pg_proc AS f ON f.oid = d.objid
WHERE pg_catalog.has_schema_privilege(r.oid, f.pronamespace, 'USAGE')
    AND pg_catalog.has_function_privilege(r.oid, f.oid, 'EXECUTE')
ORDER BY rank, reason
LIMIT 10
