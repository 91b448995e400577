-- Called by the views of rowvec: whether the caller may read a row, known by its embedding and its key.
CREATE OR REPLACE FUNCTION rowvec._sees(p_embedding_id bigint, p_key jsonb)
RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_source regclass;
    v_sees boolean;
BEGIN
    SELECT source INTO v_source FROM rowvec.embedding WHERE id = p_embedding_id;
    IF has_table_privilege(v_source, 'SELECT') IS NOT TRUE THEN
        RETURN false;
    ELSIF NOT row_security_active(v_source::oid) THEN
        RETURN true;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %s)', v_source, rowvec._key_is(v_source, '$1'))
    INTO STRICT v_sees
    USING p_key;
    RETURN v_sees;
EXCEPTION WHEN data_exception THEN
    RETURN false;  -- no key of the table's: its type has changed since
END
$function$;
