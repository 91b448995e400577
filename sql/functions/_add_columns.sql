-- Called by create_embedding alone: adds an embedding's columns, or takes empty ones that are there.
CREATE OR REPLACE FUNCTION rowvec._add_columns(p_source regclass, p_name text, p_dimensions int)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
-- Whoever waits for this lock makes everybody else wait behind it: rather fail than wait for long.
SET lock_timeout = '5s'
AS $function$
DECLARE
    c_columns CONSTANT text[] := ARRAY[p_name, p_name || '_of'];
    c_types CONSTANT text[] := ARRAY[
        format('@extschema:vector@.vector(%s)', p_dimensions), 'bigint'];
    v_column pg_attribute;
    v_is_used boolean;
BEGIN
    FOR n IN 1..2 LOOP
        SELECT * INTO v_column
        FROM pg_attribute
        WHERE attrelid = p_source AND attname = c_columns[n] AND NOT attisdropped;
        IF NOT FOUND THEN
            EXECUTE format(
                'ALTER TABLE %s ADD COLUMN %I %s', p_source, c_columns[n], c_types[n]);
            CONTINUE;
        END IF;
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
        IF v_is_used THEN
            RAISE EXCEPTION USING ERRCODE = '0A000',
                MESSAGE = format('column "%s" of %s already holds values, and to adopt them is not '
                    'there yet', c_columns[n], p_source),
                HINT = 'give the embedding another name, or empty the column';
        END IF;
    END LOOP;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION USING ERRCODE = '55P03',
        MESSAGE = format('%s is in use by a transaction that does not end: no column was added',
            p_source),
        HINT = 'try again when it has ended';
END
$function$;
