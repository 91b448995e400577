-- Run by the command line when something is not allowed: what this user lacks, and who can give it.
WITH ours AS (
    SELECT oid, pg_catalog.pg_get_userbyid(nspowner) AS owner, nspowner FROM pg_catalog.pg_namespace
    WHERE nspname OPERATOR(pg_catalog.=) 'rowvec'
), source AS (
    SELECT oid, oid::pg_catalog.regclass AS name, pg_catalog.pg_get_userbyid(relowner) AS owner
    FROM pg_catalog.pg_class
    WHERE oid OPERATOR(pg_catalog.=) CASE WHEN pg_catalog.has_schema_privilege((SELECT oid FROM ours), 'USAGE')
        THEN pg_catalog.to_regclass(%(source)s::pg_catalog.text) END
)
SELECT CASE
    WHEN %(command)s::pg_catalog.text OPERATOR(pg_catalog.=) 'load' THEN
        pg_catalog.format('whoever owns the schema can run: GRANT CREATE ON SCHEMA %%I TO %%I',
            pg_catalog.current_schema(), current_user)
    WHEN NOT pg_catalog.has_schema_privilege(ours.oid, 'USAGE') THEN
        pg_catalog.format('%%s, who owns rowvec here, can run: GRANT rowvec_user TO %%I', ours.owner, current_user)
    WHEN %(command)s::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{viewer,runner}') THEN
        pg_catalog.format('connect as a superuser, or as a role that may create roles: ALTER ROLE %%I CREATEROLE',
            current_user)
    WHEN NOT pg_catalog.has_table_privilege(source.oid, 'SELECT')
        AND %(command)s::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{ask,explain,export,search,similar}') THEN
        pg_catalog.format('%%s can run: GRANT SELECT ON %%s TO %%I', source.owner, source.name, current_user)
    WHEN pg_catalog.pg_has_role(ours.nspowner, 'USAGE') THEN
        pg_catalog.format('connect as a superuser, or as %%s, who owns %%s', source.owner, source.name)
    ELSE pg_catalog.format('connect as %%s, who owns rowvec here, or as a member of that role', ours.owner)
END
FROM ours LEFT JOIN source ON true;
