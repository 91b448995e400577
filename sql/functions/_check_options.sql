-- Called by create_embedding and alter_embedding: refuses options that do not exist or do not go together.
CREATE OR REPLACE FUNCTION rowvec._check_options(
    p_destination text, p_kwargs jsonb, p_on_truncate text, p_chunk jsonb
)
RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_destination IS NULL OR p_destination NOT IN ('column', 'table') THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'destination must be column or table, not %s',
            coalesce(quote_literal(p_destination), 'NULL'));
    ELSIF p_on_truncate IS NULL OR p_on_truncate NOT IN ('truncate', 'error', 'mean', 'chunk') THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'on_truncate must be truncate, error, mean or chunk, not %s',
            coalesce(quote_literal(p_on_truncate), 'NULL'));
    ELSIF p_destination = 'table' AND p_on_truncate <> 'chunk' THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('on_truncate must be chunk where the destination is a table, not %s',
                p_on_truncate),
            HINT = 'a text that is too long for the model is cut into chunks there';
    ELSIF p_destination = 'column' AND p_chunk IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'a column has room for one vector a row, and chunk asks for several',
            HINT = 'destination => ''table'' stores chunks';
    ELSIF p_destination = 'column' AND p_on_truncate = 'chunk' THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'a column has room for one vector a row: on_truncate cannot be chunk',
            HINT = 'on_truncate => ''mean'' stores the mean of the chunks'' vectors';
    ELSIF jsonb_typeof(p_kwargs) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE =
            format('kwargs must be a JSON object, not %s', jsonb_typeof(p_kwargs));
    ELSIF p_kwargs ? 'on_truncate' THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'on_truncate is an argument of its own, not one of its kwargs';
    END IF;
END
$function$;
