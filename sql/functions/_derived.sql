-- Called by search, drop_embedding and the jobs: a table that was made from an embedding, NULL where none was.
CREATE OR REPLACE FUNCTION rowvec._derived(p_embedding_id bigint, p_kind text)
RETURNS regclass
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- Of a table that somebody dropped a bare number is left, which may name anything in a copy. One that
    -- was renamed is known by what it depends on, the source.
    SELECT d.relation
    FROM rowvec.derived AS d
    JOIN pg_class AS c ON c.oid = d.relation
    WHERE d.embedding_id = p_embedding_id AND d.kind = p_kind AND (
        c.relname = d.relation_name
        OR EXISTS (
            SELECT FROM rowvec.embedding AS e JOIN pg_constraint AS k ON k.confrelid = e.source
            WHERE e.id = d.embedding_id AND k.conrelid = c.oid AND k.contype = 'f')
        OR EXISTS (
            SELECT FROM rowvec.embedding AS e JOIN pg_rewrite AS r ON r.ev_class = c.oid
            JOIN pg_depend AS p ON p.classid = 'pg_rewrite'::regclass AND p.objid = r.oid
                AND p.refclassid = 'pg_class'::regclass AND p.refobjid = e.source
            WHERE e.id = d.embedding_id AND c.relkind = 'v'))
$function$;
