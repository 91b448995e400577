-- Called by backfill alone: the message with which this server refuses a COMMIT within a transaction block.
--
-- It refuses every COMMIT within a function so. The words depend on lc_messages, and no SQLSTATE tells
-- this refusal from that within a block with an EXCEPTION clause.
CREATE OR REPLACE FUNCTION rowvec._commit_error()
RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    COMMIT;
    RETURN NULL;
EXCEPTION WHEN invalid_transaction_termination THEN
    RETURN SQLERRM;
END
$function$;
