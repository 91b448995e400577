-- Called by every member of rowvec_user: as search, for a vector that the caller made.
--
-- A mean, a sum, the vector of an image, what an application computed: nothing calls the worker.
CREATE OR REPLACE FUNCTION rowvec.nearest(
    source regclass,
    vector @extschema:vector@.vector,
    k int DEFAULT 10,
    filter text DEFAULT NULL,
    filter_args jsonb DEFAULT NULL,
    embedding text DEFAULT NULL,
    options jsonb DEFAULT '{}'
)
RETURNS TABLE (key jsonb, distance float8, rank int, "row" jsonb)
-- As the caller, whose rights and row-level security hold.
LANGUAGE plpgsql VOLATILE ROWS 10
AS $function$
BEGIN
    IF vector IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'vector must not be NULL',
            HINT = 'a mean over no rows is NULL';
    END IF;
    PERFORM rowvec._refuse_text_options(options);
    RETURN QUERY SELECT * FROM rowvec._search(
        rowvec._definition(source, embedding), vector, NULL, k, filter, filter_args,
        coalesce(options, '{}'), NULL, NULL::pg_catalog.jsonb);
END
$function$;
