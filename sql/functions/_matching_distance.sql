-- Called by _passages alone: the cosine distance within which a row counts as an answer to a question.
--
-- Models differ in how near to each other any two texts lie. p_relevance is the share of the way from
-- the mean likeness of two rows of the table (0) to that of equal texts (1).
CREATE OR REPLACE FUNCTION rowvec._matching_distance(
    p_definition rowvec.embedding, p_relevance float8
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
    v_rows bigint;
    v_likeness float8;
BEGIN
    SELECT CASE WHEN reltuples > c_sampled_rows THEN 100 * c_sampled_rows / reltuples ELSE 100 END
    INTO STRICT v_percent
    FROM pg_class WHERE oid = v_relation;
    -- The mean of all pairs is the square of the mean vector; then the pairs of a row with itself go.
    EXECUTE format(
        'SELECT count(*), - (@extschema:vector@.avg(v) OPERATOR(@extschema:vector@.<#>) '
        '@extschema:vector@.avg(v)) FROM (SELECT @extschema:vector@.l2_normalize(%1$I) AS v '
        'FROM %2$s TABLESAMPLE SYSTEM (%3$s) REPEATABLE (0) WHERE %1$I IS NOT NULL) AS q',
        v_vector, v_relation, v_percent)
    INTO STRICT v_rows, v_likeness;
    IF v_rows < 2 THEN
        v_likeness := 0;
    ELSE
        v_likeness := greatest(0, (v_rows * v_likeness - 1) / (v_rows - 1));
    END IF;
    RETURN (1 - v_likeness) * (1 - p_relevance);
END
$function$;
