-- Called by create_embedding and alter_embedding: the digest of new hashes, by the setting; refuses one that is off.
CREATE OR REPLACE FUNCTION rowvec._digest()
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_hash CONSTANT text := (SELECT value #>> '{}' FROM rowvec.setting WHERE name = 'hash');
BEGIN
    IF v_hash IS NULL OR v_hash NOT IN ('md5', 'sha256') THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'the setting hash must be "md5" or "sha256", not %s', coalesce(quote_literal(v_hash), 'NULL'));
    ELSIF v_hash = 'md5' THEN
        BEGIN
            PERFORM md5('');
        -- As OpenSSL in FIPS mode says it, or because somebody took the right to it away.
        EXCEPTION WHEN internal_error OR insufficient_privilege THEN
            RAISE EXCEPTION USING ERRCODE = '0A000',
                MESSAGE = 'md5 is switched off on this server, and by it rows are known to be filled',
                DETAIL = SQLERRM,
                HINT = 'sha256 does the same, slower: UPDATE rowvec.setting SET value = ''"sha256"'' '
                    'WHERE name = ''hash''; an embedding that is there takes it by rowvec.alter_embedding';
        END;
    END IF;
    RETURN v_hash;
END
$function$;
