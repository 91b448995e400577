-- Called by hints: a source, as the caller sees it, for a shell; with the embedding where it has several.
CREATE OR REPLACE FUNCTION rowvec._shell_words(p_source regclass, p_shown text, p_name text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT string_agg(
        CASE WHEN w.word ~ '^[A-Za-z0-9_.-]+$' THEN w.word
            ELSE '''' || replace(w.word, '''', '''\''''') || '''' END,
        ' ' ORDER BY w.position)
    FROM unnest(ARRAY[p_shown] || CASE
        WHEN (SELECT count(*) FROM rowvec.embedding AS e WHERE e.source = p_source) > 1
            THEN ARRAY['--embedding', p_name] END) WITH ORDINALITY AS w(word, position)
$function$;
