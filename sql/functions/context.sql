-- Called by every member of rowvec_user: a prompt with the passages of a table that answer a question.
--
-- NULL where no row matches: then there is nothing to ask a language model about. relevance says what
-- matches: 0 whatever is nearer than what does not belong, 1 only the question itself.
CREATE OR REPLACE FUNCTION rowvec.context(
    source regclass,
    question text,
    max_tokens int DEFAULT 2000,
    k int DEFAULT 20,
    filter text DEFAULT NULL,
    filter_args jsonb DEFAULT NULL,
    embedding text DEFAULT NULL,
    options jsonb DEFAULT '{"method": "hybrid"}',
    relevance float8 DEFAULT 0.3
)
RETURNS text
-- No search_path of its own: the filter is the caller's, and means what it means to the caller.
LANGUAGE plpgsql VOLATILE COST 100000
AS $function$
DECLARE
    v_definition CONSTANT rowvec.embedding := rowvec._definition(source, embedding);
    v_room int;
    v_passages pg_catalog.text[];
BEGIN
    v_room := rowvec._room(v_definition, question, max_tokens);
    SELECT pg_catalog.array_agg(p.passage ORDER BY p.number) INTO v_passages
    FROM rowvec._passages(v_definition, question, v_room, k, filter, filter_args,
        coalesce(options, '{}'), coalesce(relevance, 0)) AS p;
    IF v_passages IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN rowvec._prompt(question, v_passages);
END
$function$;
