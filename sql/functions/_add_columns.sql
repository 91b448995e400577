-- Called by create_embedding and alter_embedding: adds those of an embedding's columns that are not there.
CREATE OR REPLACE FUNCTION rowvec._add_columns(
    p_source regclass, p_name text, p_dimensions int, p_destination text DEFAULT 'column'
)
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
BEGIN
    -- Whatever wrote before has ended once this is there: see rowvec._kept.
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', p_source);
    -- Chunks have their vectors in a table of their own.
    FOR n IN CASE p_destination WHEN 'table' THEN 2 ELSE 1 END..2 LOOP
        IF NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = p_source AND attname = c_columns[n] AND NOT attisdropped
        ) THEN
            EXECUTE format(
                'ALTER TABLE %s ADD COLUMN %I %s', p_source, c_columns[n], c_types[n]);
        END IF;
    END LOOP;
EXCEPTION
    WHEN lock_not_available THEN
        RAISE EXCEPTION USING ERRCODE = '55P03',
            MESSAGE = format('%s is in use by a transaction that does not end: no column was added',
                p_source),
            HINT = 'try again when it has ended';
    WHEN too_many_columns THEN
        -- Postgres never gives the number of a dropped column to another: VACUUM FULL does not, either.
        RAISE EXCEPTION USING ERRCODE = '54011',
            MESSAGE = format('%s has used up the 1600 columns that a table may ever have, %s of them dropped'
                ' again: nothing was changed', p_source, (
                    SELECT count(*) FROM pg_attribute WHERE attrelid = p_source AND attisdropped)),
            HINT = 'copy its rows into a new table (CREATE TABLE ... (LIKE ... INCLUDING ALL)), and declare '
                'the embedding there';
END
$function$;
