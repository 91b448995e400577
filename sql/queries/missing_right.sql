-- Run by the command line when something is not allowed: what this user lacks, and who can give it.
WITH ours AS (
    SELECT oid, pg_get_userbyid(nspowner) AS owner, nspowner FROM pg_namespace WHERE nspname = 'rowvec'
), source AS (
    SELECT oid, oid::regclass AS name, pg_get_userbyid(relowner) AS owner FROM pg_class
    WHERE oid = CASE WHEN has_schema_privilege((SELECT oid FROM ours), 'USAGE')
        THEN to_regclass(%(source)s::text) END
)
SELECT CASE
    WHEN %(command)s::text = 'load' THEN
        format('whoever owns the schema can run: GRANT CREATE ON SCHEMA %%I TO %%I', current_schema, current_user)
    WHEN NOT has_schema_privilege(ours.oid, 'USAGE') THEN
        format('%%s, who owns rowvec here, can run: GRANT rowvec_user TO %%I', ours.owner, current_user)
    WHEN %(command)s::text IN ('viewer', 'runner') THEN
        format('connect as a superuser, or as a role that may create roles: ALTER ROLE %%I CREATEROLE', current_user)
    WHEN NOT has_table_privilege(source.oid, 'SELECT')
        AND %(command)s::text IN ('ask', 'explain', 'export', 'search', 'similar') THEN
        format('%%s can run: GRANT SELECT ON %%s TO %%I', source.owner, source.name, current_user)
    WHEN pg_has_role(ours.nspowner, 'USAGE') THEN
        format('connect as a superuser, or as %%s, who owns %%s', source.owner, source.name)
    ELSE format('connect as %%s, who owns rowvec here, or as a member of that role', ours.owner)
END
FROM ours LEFT JOIN source ON true;
