-- Called by every member of rowvec_user: documents by how well each answers a query, best first.
CREATE OR REPLACE FUNCTION rowvec.rerank(
    model text, query text, documents text[], kwargs jsonb DEFAULT '{}'
)
-- ordinality is the document's place in the array, from 1.
RETURNS TABLE (ordinality int, score real, document text)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_answers text[];
BEGIN
    IF array_ndims(documents) > 1 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'documents must be a one-dimensional array, not one of %s dimensions',
            array_ndims(documents));
    END IF;
    IF query IS NOT NULL AND cardinality(documents) > 0 THEN
        -- By itself: within unnest(...) the planner would call it once more, to guess the rows.
        v_answers := rowvec._ask('rerank', model, documents, kwargs, p_query => query);
        RETURN QUERY
        SELECT
            r.ordinality,
            r.score,
            CASE
                WHEN kwargs -> 'return_documents' IS DISTINCT FROM 'false'
                    THEN documents[array_lower(documents, 1) - 1 + r.ordinality]
            END
        FROM unnest(v_answers) AS answer,
            jsonb_to_record(answer::jsonb) AS r(ordinality int, score real);
    END IF;
END
$function$;
