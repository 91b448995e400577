-- Whether the database tells the session the worker's password; and its own roles, which the worker is told.
SELECT coalesce(has_schema_privilege(to_regnamespace('rowvec')::oid, 'USAGE')
           AND has_function_privilege(to_regprocedure('rowvec._worker_entry()')::oid, 'EXECUTE'), false) AS may,
       (SELECT array_agg(rolname::text ORDER BY rolname <> current_user, rolname)
        FROM pg_roles
        WHERE pg_has_role(oid, 'USAGE')) AS roles;
