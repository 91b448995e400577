-- What bears a name of rowvec's and belongs to somebody who is not trusted, and the cure: a row each.
--
-- Trusted are superusers, who runs this, who is to migrate (rowvec.owner), and members of rowvec_caller.
-- Before Postgres 16 a role with CREATEROLE can make itself a member of every role that is no superuser.
WITH trusted AS (
    SELECT r.oid
    FROM pg_roles AS r
    WHERE r.rolsuper OR r.rolname IN (current_user, current_setting('rowvec.owner'))
        OR pg_has_role(r.oid, to_regrole('rowvec_caller'), 'MEMBER')
        OR r.rolcreaterole AND current_setting('server_version_num')::int < 160000
), roles AS (
    SELECT r.*, shobj_description(r.oid, 'pg_authid') ^@ 'rowvec: ' IS TRUE AS is_ours
    FROM pg_roles AS r
    WHERE r.rolname IN ('rowvec_caller', 'rowvec_user', 'rowvec_job')
), schemas AS (
    SELECT n.nspname, n.nspacl, e.oid IS NOT NULL AS has_dblink,
        -- A member of the role pg_database_owner is the database's owner, and nobody else is.
        CASE n.nspowner WHEN 'pg_database_owner'::regrole THEN d.datdba ELSE n.nspowner END AS owner
    FROM pg_namespace AS n
    JOIN pg_database AS d ON d.datname = current_database()
    LEFT JOIN pg_extension AS e ON e.extnamespace = n.oid AND e.extname = 'dblink'
    WHERE n.nspname IN ('rowvec', 'rowvec_jobs', 'rowvec_dblink') OR e.oid IS NOT NULL
), objects AS (
    SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'm' THEN 'MATERIALIZED VIEW'
            WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END AS kind,
        oid::regclass::text AS name, relowner AS owner
    FROM pg_class
    WHERE relnamespace = to_regnamespace('rowvec') AND relkind NOT IN ('i', 'I', 't')
    UNION ALL
    SELECT 'ROUTINE', p.oid::regprocedure::text, p.proowner
    FROM pg_proc AS p
    WHERE p.pronamespace = to_regnamespace('rowvec')
        -- Where dblink lives, nothing may be taken for one of its functions.
        OR p.pronamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'dblink')
            AND p.proname ^@ 'dblink' AND NOT EXISTS (
                SELECT FROM pg_depend
                WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
    UNION ALL
    SELECT 'TYPE', oid::regtype::text, typowner
    FROM pg_type
    WHERE typnamespace = to_regnamespace('rowvec') AND typrelid = 0 AND typcategory <> 'A'
    UNION ALL
    SELECT 'OPERATOR', oid::regoperator::text, oprowner
    FROM pg_operator
    WHERE oprnamespace = to_regnamespace('rowvec')
    UNION ALL
    SELECT 'COLLATION', oid::regcollation::text, collowner
    FROM pg_collation
    WHERE collnamespace = to_regnamespace('rowvec')
    UNION ALL
    SELECT 'SERVER', quote_ident(srvname), srvowner
    FROM pg_foreign_server
    WHERE srvname = 'rowvec_worker'
    UNION ALL
    SELECT 'EXTENSION', quote_ident(extname), extowner
    FROM pg_extension
    WHERE extname = 'dblink'
)
SELECT format('the role %I was there before rowvec, and has members or rights', rolname) AS problem,
    format('DROP ROLE %1$I, or rename it; if it is meant for rowvec, say so: '
        'COMMENT ON ROLE %1$I IS ''rowvec: made by hand''', rolname) AS cure
FROM roles
WHERE NOT is_ours AND (
    EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = roles.oid)
    OR EXISTS (
        SELECT FROM pg_auth_members
        WHERE member = roles.oid OR roleid = roles.oid AND member NOT IN (
            SELECT r.oid FROM pg_roles AS r
            WHERE r.rolsuper OR r.rolname IN (current_user, current_setting('rowvec.owner')))))
UNION ALL
SELECT format('the role %I has attributes that it must not have', rolname),
    format('ALTER ROLE %I NOSUPERUSER NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS', rolname)
FROM roles
WHERE rolsuper OR rolcreaterole OR rolcreatedb OR rolcanlogin OR rolreplication OR rolbypassrls
UNION ALL
SELECT format('the role rowvec_caller is a member of %s', m.roleid::regrole),
    format('REVOKE %s FROM rowvec_caller', m.roleid::regrole)
FROM roles JOIN pg_auth_members AS m ON m.member = roles.oid
WHERE rolname = 'rowvec_caller'
UNION ALL
-- Since Postgres 16 who makes a role without being a superuser may give it to everybody. Whether that
-- is an administrator, a superuser can tell.
SELECT format('the role %I was made by %s, who may give it to anybody', rolname, m.member::regrole),
    format('DROP ROLE %1$I, or REVOKE %1$I FROM %2$s', rolname, m.member::regrole)
FROM roles JOIN pg_auth_members AS m ON m.roleid = roles.oid AND m.admin_option
WHERE to_jsonb(m) @> '{"set_option": false, "inherit_option": false}'
    AND EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper)
    AND NOT EXISTS (
        SELECT FROM pg_roles AS r
        WHERE r.oid = m.member AND (r.rolsuper OR r.rolname = current_setting('rowvec.owner')))
UNION ALL
SELECT format('dblink is installed in schema %I, where every user may connect anywhere', nspname),
    'a superuser moves it: CREATE SCHEMA IF NOT EXISTS rowvec_dblink; '
    'ALTER EXTENSION dblink SET SCHEMA rowvec_dblink'
FROM schemas
WHERE has_dblink AND EXISTS (
    SELECT FROM aclexplode(nspacl) AS a WHERE a.grantee = 0 AND a.privilege_type = 'USAGE')
UNION ALL
SELECT format('the schema %I belongs to %s, who has no part in rowvec', nspname, owner::regrole),
    format('look at what is in it, then DROP SCHEMA %1$I CASCADE, or ALTER SCHEMA %1$I RENAME TO '
        'something else', nspname)
FROM schemas
WHERE owner NOT IN (SELECT oid FROM trusted)
UNION ALL
SELECT format('%s has %s on the schema %I', who, a.privilege_type, nspname),
    format('look at what is in it, then REVOKE %s ON SCHEMA %I FROM %s', a.privilege_type, nspname, who)
FROM schemas, aclexplode(nspacl) AS a,
    LATERAL (SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END) AS g(who)
WHERE a.grantee NOT IN (SELECT oid FROM trusted)
    AND (a.privilege_type = 'CREATE' OR nspname = 'rowvec_dblink')
UNION ALL
SELECT format('the %s %s belongs to %s, who has no part in rowvec', lower(kind), name, owner::regrole),
    format('look at what it does, then DROP %s %s', kind, name)
FROM objects
WHERE owner NOT IN (SELECT oid FROM trusted)
UNION ALL
SELECT 'the server rowvec_worker is not one of dblink', 'DROP SERVER rowvec_worker CASCADE'
FROM pg_foreign_server AS s JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
WHERE s.srvname = 'rowvec_worker' AND w.fdwname <> 'dblink_fdw'
