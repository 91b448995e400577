-- Whether the session may become the one role that is told the worker's password, and its own roles.
SELECT pg_has_role(current_user, oid, 'MEMBER') AS may,
       (SELECT array_agg(rolname::text ORDER BY rolname <> current_user, rolname)
        FROM pg_roles
        WHERE pg_has_role(oid, 'USAGE')) AS roles
FROM pg_roles
WHERE rolname = 'rowvec_caller';
