-- What only a superuser (or a provider's administrator role) may do for rowvec: run it once, in the
-- database that rowvec is for. Everything else is done by @owner@ with `rowvec migrate`.
-- Running it again changes nothing.

CREATE EXTENSION IF NOT EXISTS vector;

-- dblink lets its caller connect anywhere, so it lives where only rowvec_caller may look.
CREATE SCHEMA IF NOT EXISTS rowvec_dblink;
REVOKE ALL ON SCHEMA rowvec_dblink FROM PUBLIC;
CREATE EXTENSION IF NOT EXISTS dblink SCHEMA rowvec_dblink;

DO $do$
BEGIN
    -- rowvec_caller owns the one function that calls the worker, and alone knows its password.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rowvec_caller') THEN
        CREATE ROLE rowvec_caller NOLOGIN;
    END IF;
    -- rowvec_user is what you grant to whoever may embed and search.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rowvec_user') THEN
        CREATE ROLE rowvec_user NOLOGIN;
    END IF;
    -- rowvec_job is what the login of jobs has: it calls the functions that read and write the sources as
    -- their owners, and has no right on any of them.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rowvec_job') THEN
        CREATE ROLE rowvec_job NOLOGIN IN ROLE rowvec_user;
    END IF;
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = @owner_literal@) THEN
        IF current_setting('server_version_num')::int >= 160000 THEN
            EXECUTE 'GRANT rowvec_caller TO @owner@ WITH INHERIT TRUE, SET TRUE';
        ELSE
            EXECUTE 'GRANT rowvec_caller TO @owner@';
        END IF;
        EXECUTE 'GRANT rowvec_user, rowvec_job TO @owner@ WITH ADMIN OPTION';
    END IF;
    EXECUTE format('GRANT CREATE ON DATABASE %I TO @owner@', current_database());
END
$do$;

GRANT USAGE ON SCHEMA rowvec_dblink TO rowvec_caller;
GRANT USAGE ON FOREIGN DATA WRAPPER dblink_fdw TO @owner@;
