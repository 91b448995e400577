-- Called by _similar alone: the vector of the row with a key; of its chunks the mean.
CREATE OR REPLACE FUNCTION rowvec._vector_of(
    p_definition rowvec.embedding, p_key jsonb, p_condition text
)
RETURNS @extschema:vector@.vector
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_vector @extschema:vector@.vector;
    v_found boolean;
BEGIN
    IF p_definition.destination = 'table' THEN
        EXECUTE format(
            'SELECT EXISTS (SELECT FROM %1$s WHERE %2$s), '
            '(SELECT @extschema:vector@.avg(embedding) FROM %3$s WHERE %2$s)',
            p_definition.source, p_condition, rowvec._derived(p_definition.id, 'chunks'))
        INTO v_found, v_vector;
    ELSE
        EXECUTE format('SELECT true, %I FROM %s WHERE %s',
            p_definition.name, p_definition.source, p_condition)
        INTO v_found, v_vector;
    END IF;
    IF v_found IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'P0002',
            MESSAGE = format('%s has no row with the key %s', p_definition.source, p_key);
    ELSIF v_vector IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '55000',
            MESSAGE = format('the row %s of %s has no vector yet', p_key, p_definition.source),
            HINT = 'rowvec backfill, or CALL rowvec.backfill(...), fills it';
    END IF;
    RETURN v_vector;
END
$function$;
