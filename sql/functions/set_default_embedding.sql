-- Called by the owner of a table: which of its embeddings is meant wherever none is named.
--
-- Until it is called, and after the chosen one was dropped, that is the first.
CREATE OR REPLACE FUNCTION rowvec.set_default_embedding(source regclass, embedding text)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF embedding IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'embedding must not be NULL';
    END IF;
    -- All rows of the source: of two sessions that choose, the second waits for the first.
    UPDATE rowvec.embedding AS e
    SET is_default = e.id = d.id
    FROM rowvec._definition(set_default_embedding.source, set_default_embedding.embedding) AS d
    WHERE e.source = d.source;
END
$function$;
