-- Called by the owner of a table: ends what pause_embedding began.
CREATE OR REPLACE FUNCTION rowvec.resume_embedding(source regclass, embedding text DEFAULT NULL)
RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
    UPDATE rowvec.embedding AS e
    SET paused = false
    FROM rowvec._definition(resume_embedding.source, resume_embedding.embedding) AS d
    WHERE e.id = d.id
$function$;
