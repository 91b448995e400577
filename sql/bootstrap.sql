-- What only a superuser (or a provider's administrator role) may do for rowvec: run it once, in the
-- database that rowvec is for. Everything else is done by the owner below with `rowvec migrate`.
-- Running it again changes nothing; what bears a name of rowvec's and is not its own stops it.

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL rowvec.owner = @owner@;

-- dblink lets its caller connect anywhere, so it lives where only rowvec_caller may look.
CREATE SCHEMA IF NOT EXISTS rowvec_dblink;
DO $do$
DECLARE
    v_problem record;
BEGIN
    FOR v_problem IN
@foreign_objects@
    LOOP
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = v_problem.problem, HINT = v_problem.cure;
    END LOOP;
END
$do$;
REVOKE ALL ON SCHEMA rowvec_dblink FROM PUBLIC;
CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;
CREATE EXTENSION IF NOT EXISTS dblink SCHEMA rowvec_dblink;

DO $do$
DECLARE
    c_owner CONSTANT text := current_setting('rowvec.owner');
    v_role record;
    v_handed record;
BEGIN
    FOR v_role IN
        VALUES ('rowvec_caller', 'rowvec: owns the function that calls the worker, alone knows its password'),
            ('rowvec_user', 'rowvec: grant it to whoever may embed and search'),
            ('rowvec_job', 'rowvec: for the login of jobs, which act as the owners of tables')
    LOOP
        IF to_regrole(v_role.column1) IS NULL THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', v_role.column1);
        END IF;
        IF shobj_description(to_regrole(v_role.column1), 'pg_authid') IS NULL THEN
            EXECUTE format('COMMENT ON ROLE %I IS %L', v_role.column1, v_role.column2);
        END IF;
    END LOOP;
    GRANT rowvec_user TO rowvec_job;
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = c_owner) THEN
        EXECUTE format('GRANT rowvec_caller TO %I', c_owner)
            || CASE WHEN current_setting('server_version_num')::int >= 160000
                THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
        EXECUTE format('GRANT rowvec_user, rowvec_job TO %I WITH ADMIN OPTION', c_owner);
    END IF;
    EXECUTE format('GRANT CREATE ON DATABASE %I TO %I', current_database(), c_owner);
    EXECUTE format('GRANT USAGE ON FOREIGN DATA WRAPPER dblink_fdw TO %I', c_owner);
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO rowvec_caller',
        (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'dblink'));

    -- A dump that a superuser restored without its owners is the superuser's.
    FOR v_handed IN
        SELECT format('ALTER SCHEMA %I OWNER TO %I', n.nspname, c_owner) AS statement
        FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner
        WHERE n.nspname IN ('rowvec', 'rowvec_jobs') AND r.rolsuper
        UNION ALL
        SELECT format('ALTER %s %s OWNER TO %I',
            CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.oid::regclass, c_owner)
        FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
        WHERE c.relnamespace = to_regnamespace('rowvec') AND c.relkind IN ('r', 'v') AND r.rolsuper
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, c_owner)
        FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner
        WHERE p.pronamespace = to_regnamespace('rowvec') AND r.rolsuper
        UNION ALL
        SELECT format('ALTER DOMAIN %s OWNER TO %I', t.oid::regtype, c_owner)
        FROM pg_type AS t JOIN pg_roles AS r ON r.oid = t.typowner
        WHERE t.typnamespace = to_regnamespace('rowvec') AND t.typtype = 'd' AND r.rolsuper
        UNION ALL
        SELECT format('ALTER SERVER %I OWNER TO %I', s.srvname, c_owner)
        FROM pg_foreign_server AS s JOIN pg_roles AS r ON r.oid = s.srvowner
        WHERE s.srvname = 'rowvec_worker' AND r.rolsuper
    LOOP
        EXECUTE v_handed.statement;
    END LOOP;
END
$do$;
COMMIT;
