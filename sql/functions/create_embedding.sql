-- Called by the owner of a table: defines an embedding of it and adds the two columns that it fills.
--
-- The caller is the owner of the table or a member of it, and owns the catalog: the role that migrated.
CREATE OR REPLACE FUNCTION rowvec.create_embedding(
    source regclass,
    model text,
    input text,
    name text DEFAULT 'embedding',
    destination text DEFAULT 'column',
    filter text DEFAULT NULL,
    kwargs jsonb DEFAULT '{}',
    on_truncate text DEFAULT 'truncate',
    chunk jsonb DEFAULT NULL,
    adopt text DEFAULT 'verify'
)
RETURNS bigint
-- No search_path of its own: input and filter are the caller's, and mean what they mean to the caller.
LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    v_kwargs pg_catalog.jsonb := coalesce(kwargs, '{}');
    -- Chunks have a table: either asks for the other.
    v_destination CONSTANT pg_catalog.text := CASE
        WHEN on_truncate OPERATOR(pg_catalog.=) 'chunk' AND destination OPERATOR(pg_catalog.=) 'column'
        THEN 'table' ELSE destination END;
    v_on_truncate CONSTANT pg_catalog.text := CASE
        WHEN v_destination OPERATOR(pg_catalog.=) 'table' AND on_truncate OPERATOR(pg_catalog.=) 'truncate'
        THEN 'chunk' ELSE on_truncate END;
    v_chunk pg_catalog.jsonb;
    v_input pg_catalog.text;
    v_filter pg_catalog.text;
    v_modality pg_catalog.text;
    v_columns pg_catalog.text[];
    v_may_raise boolean;
    v_dimensions int;
    v_adopts boolean;
    v_hash pg_catalog.text;
    v_id bigint;
BEGIN
    -- Of a dropped table whose number this one has by now.
    DELETE FROM rowvec.embedding AS e
    WHERE e.source OPERATOR(pg_catalog.=) create_embedding.source AND NOT rowvec._is_source(e);
    PERFORM rowvec._check_definition(
        source, model, input, name, v_destination, v_kwargs, v_on_truncate, chunk, adopt);
    SELECT c.* INTO STRICT v_input, v_filter, v_modality, v_columns, v_may_raise
    FROM rowvec._canonical_expressions(source, input, filter) AS c;

    -- The model itself says how long its vectors are, and whether it is listed at all. Before any
    -- lock: the first call may load it.
    v_dimensions := rowvec._dimensions(
        model, v_modality, rowvec._document_kwargs(v_kwargs, v_on_truncate));
    v_kwargs := rowvec._pinned(model, v_kwargs);
    IF v_destination OPERATOR(pg_catalog.=) 'table' THEN
        v_chunk := rowvec._chunk_options(model, v_modality, chunk, v_kwargs);
    END IF;
    v_hash := rowvec._digest();
    v_adopts := rowvec._check_columns(source, name, v_dimensions, adopt, v_destination);

    PERFORM rowvec._add_columns(source, name, v_dimensions, v_destination);
    INSERT INTO rowvec.embedding AS e
        (source, name, model, input, modality, filter, columns, destination, dimensions, kwargs, on_truncate,
        chunk, hash)
    VALUES
        (source, name, model, v_input, v_modality, v_filter, rowvec._numbered(source, v_columns), v_destination,
        v_dimensions, v_kwargs, v_on_truncate, v_chunk, v_hash)
    RETURNING e.id INTO STRICT v_id;
    IF v_adopts AND adopt OPERATOR(pg_catalog.=) 'trust' THEN
        -- The columns are there, so their lock is held: whatever wrote before has ended.
        UPDATE rowvec.embedding AS e
        SET adopted_before = pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()),
            adopted_cluster = (SELECT c.system_identifier FROM pg_catalog.pg_control_system() AS c),
            adopted_tables = ARRAY(
                WITH RECURSIVE part AS (
                    SELECT e.source::pg_catalog.oid AS relation
                    UNION ALL
                    SELECT h.inhrelid
                    FROM part AS p
                    JOIN pg_catalog.pg_inherits AS h ON h.inhparent OPERATOR(pg_catalog.=) p.relation
                )
                SELECT p.relation FROM part AS p)
        WHERE e.id OPERATOR(pg_catalog.=) v_id;
    END IF;
    IF v_may_raise THEN
        PERFORM rowvec._guard(v_id);
    END IF;
    IF v_destination OPERATOR(pg_catalog.=) 'table' THEN
        PERFORM rowvec._create_chunks(v_id);
    END IF;
    PERFORM rowvec._prepare_jobs(v_id);
    IF v_adopts AND adopt OPERATOR(pg_catalog.=) 'verify' THEN
        PERFORM rowvec._check_adopted(e) FROM rowvec.embedding AS e
        WHERE e.id OPERATOR(pg_catalog.=) v_id;
    END IF;

    RAISE NOTICE USING
        MESSAGE = pg_catalog.format('embedding "%s" of %s is defined, its rows are pending', name, source),
        HINT = pg_catalog.format('fill it: rowvec backfill %s, or CALL rowvec.backfill(%L, %L)',
            rowvec._shell_words(source, source::pg_catalog.text, name), source, name);
    RETURN v_id;
END
$function$;
