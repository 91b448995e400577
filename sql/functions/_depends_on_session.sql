-- Called by _canonical_expressions alone: a type whose text, in indexes of the copy, depends on settings of the session.
--
-- Postgres calls the output of these types immutable, and each session prints them by settings of its own:
-- bytea_output, extra_float_digits. Its trees of expressions are read node by node, the innermost first; a
-- node that was read stands as <its type>.
CREATE OR REPLACE FUNCTION rowvec._depends_on_session(p_copy regclass)
RETURNS regtype
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_printed CONSTANT name[] := ARRAY['bytea', 'float4', 'float8', 'point', 'lseg', 'path', 'box', 'polygon',
        'line', 'circle', 'cube'];
    v_types oid[];
    v_outputs oid[];
    v_tree text;
    v_node text[];
    v_type oid;
BEGIN
    WITH RECURSIVE printed AS (
        SELECT oid, typoutput FROM pg_type WHERE typname = ANY (c_printed) AND typtype = 'b'
        UNION
        SELECT t.oid, p.typoutput FROM pg_type AS t JOIN printed AS p ON p.oid = t.typbasetype
    )
    SELECT array_agg(oid), array_agg(typoutput) INTO STRICT v_types, v_outputs FROM printed;
    SELECT string_agg(concat(indexprs::text, indpred::text), '') INTO STRICT v_tree
    FROM pg_index WHERE indrelid = p_copy;
    LOOP
        v_node := regexp_match(v_tree, '\{([A-Z]+)([^{}]*)\}');
        EXIT WHEN v_node IS NULL;
        -- A cast to text and what it makes text of, what writes XML or JSON, the output function itself.
        IF v_node[1] IN ('COERCEVIAIO', 'XMLEXPR', 'JSONCONSTRUCTOREXPR') THEN
            SELECT t.type[1]::oid INTO v_type
            FROM regexp_matches(v_node[2], '<(\d+)>', 'g') AS t(type)
            WHERE t.type[1]::oid = ANY (v_types)
            LIMIT 1;
            IF FOUND THEN
                RETURN v_type;
            END IF;
        ELSIF v_node[1] = 'FUNCEXPR' AND substring(v_node[2], ':funcid (\d+)')::oid = ANY (v_outputs) THEN
            RETURN (SELECT oid FROM pg_type WHERE typoutput = substring(v_node[2], ':funcid (\d+)')::oid LIMIT 1);
        END IF;
        v_type := coalesce(
            substring(v_node[2], ':(?:vartype|consttype|funcresulttype|opresulttype|casetype|coalescetype|'
                'minmaxtype|refrestype|resulttype|type) (\d+)'),
            substring(v_node[2], '<(\d+)>'), '0')::oid;
        v_tree := regexp_replace(v_tree, '\{[A-Z]+[^{}]*\}', format('<%s>', v_type));
    END LOOP;
    RETURN NULL;
END
$function$;
