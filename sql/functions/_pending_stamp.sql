-- Called by backfill, sync and the jobs: what the index on pending rows has to be built from, in short.
--
-- It is the comment of the index. Postgres keeps the entries of an index where a function that its predicate
-- calls is replaced; the stamp changes with the function, or with one that it calls in turn.
CREATE OR REPLACE FUNCTION rowvec._pending_stamp(p_embedding_id bigint)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- Postgres records what an index calls, but not what a body that is a string does: so a function counts
    -- whose name stands in the text, with its schema in the predicate, where all names have theirs, and without
    -- in a body. One too many costs an index that is built for nothing.
    WITH RECURSIVE foreign_function AS MATERIALIZED (
        SELECT p.oid, p.proname::text AS name, o.oprname::text AS operator,
            format('%I.%I(', n.nspname, p.proname) AS qualified_name,
            CASE WHEN o.oid IS NOT NULL THEN format('OPERATOR(%I.%s)', s.nspname, o.oprname) END
                AS qualified_operator,
            concat_ws(' ', p.prosrc, pg_get_function_sqlbody(p.oid), p.proconfig, p.proisstrict) AS body,
            c.oid IS NOT NULL AS is_cast
        FROM pg_proc AS p
        JOIN pg_namespace AS n ON n.oid = p.pronamespace
        LEFT JOIN pg_operator AS o ON o.oprcode = p.oid
        LEFT JOIN pg_namespace AS s ON s.oid = o.oprnamespace
        LEFT JOIN pg_cast AS c ON c.castfunc = p.oid
        -- Not Postgres's own, nor those in C: extensions bring hundreds, and are not replaced in daily life.
        WHERE p.oid >= 16384 AND p.prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('internal', 'c'))
            AND p.pronamespace NOT IN ('rowvec'::regnamespace, 'rowvec_jobs'::regnamespace)
            -- Whoever may connect may make some there, and no input can call them.
            AND n.nspname NOT LIKE 'pg\_temp\_%'
    ), called (oid, body) AS (
        SELECT 0::oid, rowvec._pending(p_embedding_id) COLLATE "C"
        UNION
        SELECT f.oid, f.body
        FROM called AS c JOIN foreign_function AS f
            ON f.is_cast
            OR strpos(c.body, CASE c.oid WHEN 0 THEN f.qualified_name ELSE f.name END) > 0
            OR strpos(c.body, CASE c.oid WHEN 0 THEN f.qualified_operator ELSE f.operator END) > 0
    )
    SELECT encode(sha256(convert_to(string_agg(body, ' ' ORDER BY oid, body), 'UTF8')), 'hex') FROM called
$function$;
