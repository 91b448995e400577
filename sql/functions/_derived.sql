-- Called by search, drop_embedding and the jobs: a table that was made from an embedding, NULL where none was.
CREATE OR REPLACE FUNCTION rowvec._derived(p_embedding_id bigint, p_kind text)
RETURNS regclass
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- Of a dropped table only its number is left.
    SELECT d.relation
    FROM rowvec.derived AS d
    JOIN pg_class AS c ON c.oid = d.relation
    WHERE d.embedding_id = p_embedding_id AND d.kind = p_kind
$function$;
