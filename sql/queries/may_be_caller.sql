-- Whether the session may become the one role that is told the worker's password.
SELECT pg_has_role(current_user, oid, 'MEMBER') AS may FROM pg_roles WHERE rolname = 'rowvec_caller';
