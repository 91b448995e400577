-- Called by _check_computable and _canonical_expressions: an input whose functions need a search_path is refused, with the cure.
CREATE OR REPLACE FUNCTION rowvec._refuse_path(p_view regclass, p_message text, p_sqlstate text, p_path text)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION USING ERRCODE = p_sqlstate,
        MESSAGE = format('no index and no job can compute it: %s', p_message),
        DETAIL = 'A function of the input or filter looks for names on the search_path of the session, '
            'and where indexes are computed there is none.',
        HINT = coalesce((
            SELECT string_agg(format('ALTER FUNCTION %s SET search_path = %s', p.oid::regprocedure, p_path), '; ')
            FROM pg_rewrite AS r
            JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                AND d.refclassid = 'pg_proc'::regclass
            JOIN pg_proc AS p ON p.oid = d.refobjid
            WHERE r.ev_class = p_view AND NOT EXISTS (
                SELECT FROM unnest(p.proconfig) AS s WHERE s LIKE 'search\_path=%')
        ), 'ALTER FUNCTION ... SET search_path = ' || p_path);
END
$function$;
