-- Called by similar and backfill: the SQL condition that compares a row's key with a jsonb key.
CREATE OR REPLACE FUNCTION rowvec._key_compare(p_source regclass, p_operator text, p_key jsonb)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_names text[];
    v_types text[];
    v_values text[];
    v_object jsonb;
BEGIN
    SELECT array_agg(name), array_agg(type) INTO v_names, v_types
    FROM rowvec._key_columns(p_source);
    IF cardinality(v_names) = 1 THEN
        v_object := jsonb_build_object(v_names[1], p_key);
    ELSIF jsonb_typeof(p_key) = 'object' AND p_key ?& v_names
        AND p_key - v_names = '{}'
    THEN
        v_object := p_key;
    END IF;
    IF v_object IS NOT NULL THEN
        BEGIN
            -- As Postgres reads JSON: an array becomes one of the column's type.
            EXECUTE (
                SELECT format('SELECT ARRAY[%s] FROM pg_catalog.jsonb_to_record($1) AS r(%s)',
                    string_agg(format('r.%I::text', n), ', ' ORDER BY position),
                    string_agg(format('%I %s', n, t), ', ' ORDER BY position))
                FROM unnest(v_names, v_types) WITH ORDINALITY AS u(n, t, position))
            INTO STRICT v_values
            USING v_object;
        EXCEPTION WHEN data_exception THEN
            v_values := NULL;  -- not of the key's type, which the error below says
        END;
    END IF;
    IF v_values IS NULL OR array_position(v_values, NULL) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('the key %s does not fit %s', coalesce(p_key::text, 'NULL'), p_source),
            HINT = CASE
                WHEN cardinality(v_names) = 1 THEN
                    format('its key is one value: the %s of type %s', v_names[1], v_types[1])
                ELSE
                    format('its key is an object with: %s', array_to_string(v_names, ', '))
            END;
    END IF;
    RETURN rowvec._key_condition(p_source, p_operator, ARRAY(
        SELECT format('%L::%s', v, t)
        FROM unnest(v_types, v_values) WITH ORDINALITY AS u(t, v, position) ORDER BY position));
END
$function$;
