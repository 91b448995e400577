-- Called by _similar alone: the vector of the row with a key; with a destination table the mean of its chunks.
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
    BEGIN
        IF p_definition.destination = 'table' THEN
            EXECUTE format(
                'SELECT EXISTS (SELECT FROM %s WHERE %s), (SELECT @extschema:vector@.avg(embedding) FROM %s WHERE %s)',
                p_definition.source, p_condition, rowvec._derived(p_definition.id, 'chunks'), p_condition)
            INTO v_found, v_vector;
        ELSE
            EXECUTE format('SELECT true, %I FROM %s WHERE %s',
                p_definition.name, p_definition.source, p_condition)
            INTO v_found, v_vector;
        END IF;
    EXCEPTION WHEN data_exception THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('the key %s does not fit %s: %s', p_key, p_definition.source, SQLERRM),
            HINT = (
                SELECT format('its key is: %s', string_agg(format('%I %s', name, type), ', '))
                FROM rowvec._key_columns(p_definition.source));
    END;
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
