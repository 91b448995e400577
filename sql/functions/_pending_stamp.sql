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
    -- whose name stands in the text. One too many costs an index that is built for nothing.
    WITH RECURSIVE foreign_function AS MATERIALIZED (
        SELECT p.oid, coalesce(o.oprname, p.proname)::text AS name,
            concat_ws(' ', p.prosrc, pg_get_function_sqlbody(p.oid), p.proconfig, p.proisstrict) AS body,
            c.oid IS NOT NULL AS is_cast
        FROM pg_proc AS p
        LEFT JOIN pg_operator AS o ON o.oprcode = p.oid
        LEFT JOIN pg_cast AS c ON c.castfunc = p.oid
        -- Not Postgres's own, nor those in C: extensions bring hundreds, and are not replaced in daily life.
        WHERE p.oid >= 16384 AND p.prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('internal', 'c'))
            AND p.pronamespace NOT IN ('rowvec'::regnamespace, 'rowvec_jobs'::regnamespace)
    ), called (oid, body) AS (
        SELECT 0::oid, rowvec._pending(p_embedding_id) COLLATE "C"
        UNION
        SELECT f.oid, f.body
        FROM called AS c JOIN foreign_function AS f ON f.is_cast OR strpos(c.body, f.name) > 0
    )
    SELECT encode(sha256(convert_to(string_agg(body, ' ' ORDER BY oid, body), 'UTF8')), 'hex') FROM called
$function$;
