-- Called by _fused_statement alone: the subquery of the rows that have most of the words.
--
-- ts_rank with normalisation 1 (over the logarithm of the length) comes near BM25 on Cranfield;
-- ts_rank_cd, which wants the words close together, is far behind for questions in words.
CREATE OR REPLACE FUNCTION rowvec._best_by_words(
    p_definition rowvec.embedding,
    p_keys text,
    p_cs text,
    p_tsquery text,
    p_condition text,
    p_limit int,
    p_config regconfig
)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_document CONSTANT text := rowvec._text_document(p_definition, p_config);
BEGIN
    RETURN format(
        'SELECT %1$s, ts_rank FROM ('
        'SELECT %2$s, pg_catalog.ts_rank(%3$s, %4$s, 1) AS ts_rank FROM %5$s '
        'WHERE %3$s OPERATOR(pg_catalog.@@) %4$s%6$s) AS w '
        'ORDER BY ts_rank DESC, %1$s LIMIT %7$s',
        p_cs, p_keys, c_document, p_tsquery, p_definition.source, ' AND ' || p_condition, p_limit);
END
$function$;
