-- Called by create_embedding alone: refuses what cannot be defined, before anything is locked or changed.
CREATE OR REPLACE FUNCTION rowvec._check_definition(
    p_source regclass,
    p_model text,
    p_input text,
    p_name text,
    p_destination text,
    p_kwargs jsonb,
    p_on_truncate text,
    p_chunk jsonb,
    p_adopt text
)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_table pg_class;
BEGIN
    IF p_source IS NULL OR p_model IS NULL OR p_input IS NULL OR p_name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004',
            MESSAGE = 'source, model, input and name must not be NULL';
    END IF;

    IF p_adopt IS NULL OR p_adopt NOT IN ('verify', 'trust', 'no') THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'adopt must be verify, trust or no, not %s', coalesce(quote_literal(p_adopt), 'NULL'));
    ELSIF p_name = '' OR octet_length(p_name) > 60 THEN
        RAISE EXCEPTION USING ERRCODE = '42622',
            MESSAGE = 'the name of an embedding has 1 to 60 bytes',
            DETAIL = 'Its columns are called by the name, and by the name with _of behind it.';
    END IF;

    PERFORM rowvec._check_options(p_destination, p_kwargs, p_on_truncate, p_chunk);

    SELECT * INTO v_table FROM pg_class WHERE oid = p_source;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '42P01',
            MESSAGE = format('there is no table with the OID %s', p_source::oid);
    ELSIF v_table.relkind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION USING ERRCODE = '42809',
            MESSAGE = format('%s is not a table', p_source),
            HINT = 'an embedding belongs to an ordinary or a partitioned table';
    ELSIF v_table.relispartition THEN
        RAISE EXCEPTION USING ERRCODE = '42809',
            MESSAGE = format('%s is a partition', p_source),
            HINT = format('create the embedding for %s, which it belongs to', (
                SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = p_source));
    ELSIF v_table.relpersistence = 't' THEN
        RAISE EXCEPTION USING ERRCODE = '42809',
            MESSAGE = format('%s is a temporary table, which no job can see', p_source),
            HINT = 'rowvec.embed_batch and rowvec.embed_rows embed what is in a session';
    ELSIF NOT pg_has_role(v_table.relowner, 'USAGE') THEN
        RAISE EXCEPTION USING ERRCODE = '42501',
            MESSAGE = format('must be owner of table %s', p_source);
    END IF;
    PERFORM rowvec._key_columns(p_source);
    IF EXISTS (SELECT FROM rowvec.embedding WHERE source = p_source AND name = p_name) THEN
        RAISE EXCEPTION USING ERRCODE = '42710',
            MESSAGE = format('%s already has an embedding named "%s"', p_source, p_name),
            HINT = 'give another name, or drop it first: rowvec.drop_embedding';
    END IF;
END
$function$;
