-- Called by context and `rowvec ask`: what a language model is asked, with numbered sources.
CREATE OR REPLACE FUNCTION rowvec._prompt(p_question text, p_passages text[])
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT concat(
        'Answer the question from the numbered sources below and from nothing else. Cite the source ',
        'of every statement by its number in brackets, such as [1]. If the sources do not answer the ',
        E'question, say that they do not.\n\nSources:\n\n',
        (SELECT string_agg(format('[%s] %s', n, btrim(passage, E' \n\r\t')), E'\n\n' ORDER BY n)
         FROM unnest(p_passages) WITH ORDINALITY AS p(passage, n)),
        E'\n\nQuestion: ', p_question)
$function$;
