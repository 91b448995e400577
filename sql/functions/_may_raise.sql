-- Called by _canonical_expressions alone: whether what the copy's index is on may raise an error for some row.
--
-- It may unless everything in it is known not to. A function that is leakproof raises none: that is part of what
-- the word means. Others are named here, as are the kinds of nodes of an expression's tree.
CREATE OR REPLACE FUNCTION rowvec._may_raise(p_copy regclass)
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    WITH tree AS (
        SELECT concat(i.indexprs, i.indpred) AS text FROM pg_index AS i WHERE i.indrelid = p_copy
    )
    SELECT
        EXISTS (
            SELECT FROM tree CROSS JOIN regexp_matches(tree.text, '\{(\w+)', 'g') AS node
            WHERE node[1] NOT IN ('VAR', 'CONST', 'FUNCEXPR', 'OPEXPR', 'BOOLEXPR', 'NULLTEST', 'BOOLEANTEST',
                'DISTINCTEXPR', 'NULLIFEXPR', 'SCALARARRAYOPEXPR', 'RELABELTYPE', 'COERCEVIAIO',
                'COERCETODOMAIN', 'COLLATE', 'COLLATEEXPR', 'COALESCE', 'COALESCEEXPR', 'CASE', 'CASEEXPR',
                'WHEN', 'CASEWHEN', 'CASETESTEXPR')
        )
        OR EXISTS (
            -- Whatever a value is written as, it is written without an error.
            SELECT FROM tree CROSS JOIN regexp_matches(tree.text, ':resulttype (\d+)', 'g') AS type
            WHERE type[1]::oid::regtype NOT IN ('text', 'varchar', 'bpchar', 'name', 'rowvec.image_path')
        )
        OR EXISTS (
            SELECT FROM tree CROSS JOIN regexp_matches(tree.text, ':(?:opfuncid|funcid) (\d+)', 'g') AS called
            JOIN pg_proc AS p ON p.oid = called[1]::oid
            WHERE NOT p.proleakproof AND NOT (p.pronamespace = 'pg_catalog'::regnamespace AND (
                p.proname IN ('textcat', 'textanycat', 'anytextcat', 'lower', 'upper', 'initcap', 'btrim', 'ltrim',
                    'rtrim', 'left', 'right', 'length', 'replace', 'translate', 'md5', 'encode',
                    'jsonb_object_field', 'jsonb_object_field_text', 'jsonb_array_element',
                    'jsonb_array_element_text', 'jsonb_extract_path', 'jsonb_extract_path_text')
                -- Comparisons as indexes use them.
                OR EXISTS (
                    SELECT FROM pg_operator AS o JOIN pg_amop AS m ON m.amopopr = o.oid
                    JOIN pg_am AS a ON a.oid = m.amopmethod AND a.amname = 'btree'
                    WHERE o.oprcode = p.oid)))
        )
$function$;
