-- Called by _similarities: the vectors of texts, with the mean of the chunks' in the place of a long one's.
CREATE OR REPLACE FUNCTION rowvec._with_means(
    p_definition rowvec.embedding, p_inputs text[], p_vectors text[]
)
RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_kwargs CONSTANT jsonb := rowvec._document_kwargs(p_definition.kwargs, 'truncate');
    v_answers CONSTANT text[] := rowvec._ask('chunk', p_definition.model, p_inputs, v_kwargs, 'bulk');
    v_vectors text[] := p_vectors;
    v_long record;
BEGIN
    FOR v_long IN
        SELECT c.input, array_agg(c.chunk ORDER BY c.ordinality) AS chunks
        FROM unnest(v_answers) AS answer,
            jsonb_to_record(answer::jsonb) AS c(input int, ordinality int, chunk text)
        GROUP BY c.input
        HAVING count(*) > 1
    LOOP
        v_vectors[v_long.input] := (
            SELECT @extschema:vector@.avg(f.v::@extschema:vector@.vector)
            FROM unnest(rowvec._embed_all(p_definition.model, v_long.chunks, v_kwargs)) AS f(v));
    END LOOP;
    RETURN v_vectors;
END
$function$;
