-- Called by the owner of a table: jobs and sync leave the embedding alone until it is resumed; search still works.
CREATE OR REPLACE FUNCTION rowvec.pause_embedding(source regclass, embedding text DEFAULT NULL)
RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- The version ends what is being written: nothing is, once this is committed.
    UPDATE rowvec.embedding AS e
    SET paused = true, version = e.version + 1
    FROM rowvec._definition(pause_embedding.source, pause_embedding.embedding) AS d
    WHERE e.id = d.id AND NOT e.paused
$function$;
