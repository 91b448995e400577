-- Called by _wanted_hash, _adopted_hash and truncated: the SQL of the hash that stands beside a vector made of the row.
--
-- It names the recipe and the text, and is NULL where the text is. p_mark keeps apart the hashes of adopted
-- vectors, which nobody has proven. The expression is immutable, as the index on pending rows demands, and
-- takes the bytes of the text, whatever their collation.
CREATE OR REPLACE FUNCTION rowvec._row_hash(p_definition rowvec.embedding, p_mark text DEFAULT '')
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT format(
        CASE p_definition.hash
            WHEN 'md5' THEN 'pg_catalog.md5(%1$s)::pg_catalog.uuid'
            -- A cast makes bytes of text without a function that depends on the session, once its
            -- backslashes are doubled.
            ELSE 'pg_catalog."left"(pg_catalog.encode(pg_catalog.sha256(pg_catalog.replace('
                '(%1$s) COLLATE pg_catalog."C", %2$L, %3$L)::pg_catalog.bytea), ''hex''), 32)::pg_catalog.uuid'
        END,
        rowvec._hashed(p_definition, p_mark || rowvec._recipe(p_definition)), '\', '\\')
$function$;
