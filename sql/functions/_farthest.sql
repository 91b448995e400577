-- Called by _passages and `rowvec ask`: the cosine distance to a question at which a row says nothing about it.
--
-- Models differ in how near to each other any two texts lie, and the rows of a table on one subject are
-- all near to a question about it. So a row is held against two things: how like this question is to the
-- other rows of the table, and how like questions are that do not belong to it. The
-- relevance of a row is the share of the way from the mean of these (0) to equal texts (1).
CREATE OR REPLACE FUNCTION rowvec._farthest(
    p_definition rowvec.embedding, p_question @extschema:vector@.vector
)
RETURNS float8
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_sampled_rows CONSTANT int := 2000;
    v_relation CONSTANT regclass := CASE p_definition.destination
        WHEN 'table' THEN rowvec._derived(p_definition.id, 'chunks') ELSE p_definition.source END;
    v_vector CONSTANT text := CASE p_definition.destination
        WHEN 'table' THEN 'embedding' ELSE p_definition.name END;
    v_percent float8;
    v_rows @extschema:vector@.vector;
    v_likeness float8;
    v_strays @extschema:vector@.vector;
    v_likeness_of_strays float8;
BEGIN
    SELECT CASE WHEN reltuples > c_sampled_rows THEN 100 * c_sampled_rows / reltuples ELSE 100 END
    INTO STRICT v_percent
    FROM pg_class WHERE oid = v_relation;
    -- Without the nearest row, which may be the answer; that leaves nothing of a single one.
    EXECUTE format(
        'SELECT @extschema:vector@.avg(s.v), (sum(s.likeness) - max(s.likeness)) / nullif(count(*) - 1, 0) '
        'FROM (SELECT n.v, - (n.v OPERATOR(@extschema:vector@.<#>) @extschema:vector@.l2_normalize($1)) '
        'AS likeness FROM (SELECT @extschema:vector@.l2_normalize(%1$I) AS v '
        'FROM %2$s TABLESAMPLE SYSTEM (%3$s) REPEATABLE (0) WHERE %1$I IS NOT NULL LIMIT %4$s) AS n) AS s',
        v_vector, v_relation, v_percent, 2 * c_sampled_rows)
    INTO STRICT v_rows, v_likeness
    USING p_question;
    IF v_rows IS NULL THEN
        RETURN 1;
    END IF;
    -- The mean of all pairs is the product of the means.
    SELECT @extschema:vector@.avg(@extschema:vector@.l2_normalize(a.answer::@extschema:vector@.vector))
    INTO STRICT v_strays
    FROM unnest(rowvec._ask('embed', p_definition.model, rowvec._stray_questions(),
        rowvec._query_kwargs(p_definition) || '{"on_truncate": "truncate"}')) AS a(answer);
    v_likeness_of_strays := - (v_strays OPERATOR(@extschema:vector@.<#>) v_rows);
    RETURN 1 - greatest(
        0, (coalesce(v_likeness, v_likeness_of_strays) + v_likeness_of_strays) / 2);
END
$function$;
