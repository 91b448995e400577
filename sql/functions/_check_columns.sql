-- Called by create_embedding alone: whether the columns that it would add are there and hold vectors.
--
-- Refuses columns of another type or dimension, and with p_adopt => 'no' those that hold values.
CREATE OR REPLACE FUNCTION rowvec._check_columns(
    p_source regclass, p_name text, p_dimensions int, p_adopt text, p_destination text DEFAULT 'column'
)
RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_columns CONSTANT text[] := ARRAY[p_name, p_name || '_of'];
    c_types CONSTANT text[] := ARRAY[
        format('@extschema:vector@.vector(%s)', p_dimensions), 'uuid'];
    v_column pg_attribute;
    v_is_used boolean;
    v_holds_vectors boolean := false;
BEGIN
    FOR n IN CASE p_destination WHEN 'table' THEN 2 ELSE 1 END..2 LOOP
        SELECT * INTO v_column
        FROM pg_attribute
        WHERE attrelid = p_source AND attname = c_columns[n] AND NOT attisdropped;
        CONTINUE WHEN NOT FOUND;
        IF v_column.atttypid <> c_types[n]::regtype THEN
            RAISE EXCEPTION USING ERRCODE = '42804',
                MESSAGE = format('column "%s" of %s is of type %s, and must be %s', c_columns[n],
                    p_source, format_type(v_column.atttypid, v_column.atttypmod), c_types[n]),
                HINT = 'give the embedding another name';
        ELSIF n = 1 AND v_column.atttypmod <> p_dimensions THEN
            RAISE EXCEPTION USING ERRCODE = '22000',
                MESSAGE = format('column "%s" of %s is of type %s, and the model makes %s dimensions',
                    c_columns[n], p_source, format_type(v_column.atttypid, v_column.atttypmod),
                    p_dimensions),
                HINT = 'give the embedding another name, or take another model';
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NOT NULL)', p_source, c_columns[n])
        INTO STRICT v_is_used;
        IF v_is_used AND p_adopt = 'no' THEN
            RAISE EXCEPTION USING ERRCODE = '55000',
                MESSAGE = format('column "%s" of %s already holds values', c_columns[n], p_source),
                HINT = 'adopt => ''verify'' keeps its vectors if they are of this model';
        END IF;
        v_holds_vectors := v_holds_vectors OR (v_is_used AND n = 1);
    END LOOP;
    RETURN v_holds_vectors;
END
$function$;
