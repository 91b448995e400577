-- Called by the view rowvec.status and by `rowvec status`: why an index should be built again; NULL if it is good.
--
-- p_vectors is how many rows have a vector, NULL where that is not known. Lists are drawn once, a
-- graph grows with its table. The factor is that of index/standing.py.
CREATE OR REPLACE FUNCTION rowvec._index_advice(p_definition rowvec.embedding, p_vectors bigint)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_tolerated_factor CONSTANT int := 2;
    c_table CONSTANT regclass := coalesce(
        CASE WHEN p_definition.destination = 'table' THEN
            rowvec._derived(p_definition.id, 'chunks') END,
        p_definition.source);
    v_target CONSTANT real := coalesce(p_definition.target_recall, (
        SELECT (value #>> '{}')::real FROM rowvec.setting WHERE name = 'target_recall'));
    v_is_valid boolean;
    v_vectors bigint := p_vectors;
BEGIN
    IF p_definition.index_name IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT i.indisvalid INTO v_is_valid
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = c_table AND c.relname = p_definition.index_name;
    IF v_is_valid IS NOT TRUE THEN
        RETURN format('%s %s: rowvec index %s', p_definition.index_name,
            CASE WHEN v_is_valid IS NULL THEN 'is gone' ELSE 'is INVALID' END,
            p_definition.source);
    END IF;
    IF c_table <> p_definition.source THEN
        SELECT nullif(reltuples, -1) INTO STRICT v_vectors FROM pg_class WHERE oid = c_table;
    END IF;
    IF p_definition.index_is_graph IS NOT TRUE
        AND v_vectors > c_tolerated_factor * p_definition.index_rows
    THEN
        RETURN format('%s was built for %s vectors, there are about %s: rowvec index %s --refresh',
            p_definition.index_name, p_definition.index_rows, v_vectors, p_definition.source);
    ELSIF p_definition.recall < v_target THEN
        RETURN format(
            CASE
                WHEN p_definition.index_is_graph THEN '%s has a recall of %s, the target is %s: rowvec tune %s'
                ELSE '%s has a recall of %s, the target is %s: rowvec index %s --refresh'
            END,
            p_definition.index_name, round(p_definition.recall::numeric, 3), v_target,
            p_definition.source);
    END IF;
    RETURN NULL;
END
$function$;
