-- Called by create_embedding and alter_embedding: refuses options that do not exist or do not go together.
CREATE OR REPLACE FUNCTION rowvec._check_options(
    p_destination text, p_kwargs jsonb, p_on_truncate text, p_chunk jsonb
)
RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_destination = 'table' THEN
        RAISE EXCEPTION USING ERRCODE = '0A000',
            MESSAGE = 'destination => ''table'' is not there yet: vectors go to a column';
    ELSIF p_chunk IS NOT NULL OR p_on_truncate IN ('mean', 'chunk') THEN
        RAISE EXCEPTION USING ERRCODE = '0A000',
            MESSAGE = 'chunks are not there yet: a text has one vector',
            HINT = 'on_truncate => ''error'' lists the texts that are too long for the model';
    ELSIF p_destination IS DISTINCT FROM 'column' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'destination must be column, not %s', coalesce(quote_literal(p_destination), 'NULL'));
    ELSIF p_on_truncate IS NULL OR p_on_truncate NOT IN ('truncate', 'error') THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'on_truncate must be truncate or error, not %s',
            coalesce(quote_literal(p_on_truncate), 'NULL'));
    ELSIF jsonb_typeof(p_kwargs) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE =
            format('kwargs must be a JSON object, not %s', jsonb_typeof(p_kwargs));
    ELSIF p_kwargs ? 'on_truncate' THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'on_truncate is an argument of its own, not one of its kwargs';
    END IF;
END
$function$;
