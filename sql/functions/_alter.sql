-- Called by alter_embedding alone, with expressions that are canonical: checks the rest, and changes the definition.
CREATE OR REPLACE FUNCTION rowvec._alter(
    p_old rowvec.embedding, p_model text, p_input text, p_modality text, p_filter text, p_columns text[],
    p_may_raise boolean, p_kwargs jsonb, p_on_truncate text, p_chunk jsonb
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_model CONSTANT text := coalesce(p_model, p_old.model);
    v_on_truncate CONSTANT text := coalesce(p_on_truncate, p_old.on_truncate);
    v_filter CONSTANT text := nullif(p_filter, 'true');
    -- What is read stays as it is, with the functions that read it.
    v_reads_as_before CONSTANT boolean := (p_input, v_filter) IS NOT DISTINCT FROM (p_old.input, p_old.filter);
    -- The revision is that of the old vectors, unless somebody names one again.
    v_kwargs jsonb := coalesce(p_kwargs, p_old.kwargs - 'revision');
    v_chunk jsonb := p_old.chunk;
    v_hash CONSTANT text := rowvec._digest();
    v_dimensions int;
BEGIN
    PERFORM rowvec._check_options(
        p_old.destination, v_kwargs, v_on_truncate, coalesce(p_chunk, p_old.chunk));
    v_dimensions := rowvec._dimensions(v_model, p_modality,
        rowvec._document_kwargs(v_kwargs, v_on_truncate));
    IF v_dimensions <> p_old.dimensions THEN
        RAISE EXCEPTION USING ERRCODE = '22000',
            MESSAGE = format('the embedding "%s" of %s has %s dimensions, and %s would have %s',
                p_old.name, p_old.source, p_old.dimensions, v_model, v_dimensions),
            HINT = 'create another embedding beside it (name => ...), and drop this one when that is filled';
    END IF;
    v_kwargs := rowvec._pinned(v_model, v_kwargs);
    IF p_old.destination = 'table' AND (p_chunk IS NOT NULL OR v_model <> p_old.model) THEN
        IF jsonb_typeof(p_chunk) = 'object' THEN
            v_chunk := p_old.chunk || p_chunk;
        ELSE
            v_chunk := coalesce(p_chunk, p_old.chunk);
        END IF;
        v_chunk := rowvec._chunk_options(v_model, p_modality, v_chunk, v_kwargs);
    END IF;
    IF (v_model, v_kwargs, p_input, p_modality, v_filter, v_on_truncate, v_chunk, v_hash) IS NOT DISTINCT FROM
        (p_old.model, p_old.kwargs, p_old.input, p_old.modality, p_old.filter, p_old.on_truncate,
        p_old.chunk, p_old.hash)
    THEN
        RETURN;
    END IF;

    -- First of all, as the jobs do: they hold it for each batch that they write.
    UPDATE rowvec.embedding AS e
    SET model = v_model, input = p_input, modality = p_modality, filter = v_filter,
        columns = CASE WHEN v_reads_as_before THEN e.columns ELSE rowvec._numbered(e.source, p_columns) END,
        guarded = CASE WHEN v_reads_as_before THEN e.guarded END,
        kwargs = v_kwargs, on_truncate = v_on_truncate, chunk = v_chunk, hash = v_hash, version = p_old.version + 1,
        -- So is what hybrid search reads, unless it was declared separately.
        text_document = CASE
            WHEN v_reads_as_before OR (p_input = p_old.input AND p_old.guarded IS NULL)
                OR strpos(rowvec._qualified(e.text_document), (rowvec._as_read(p_old)).input) = 0
                THEN e.text_document END
    WHERE e.id = p_old.id AND e.version = p_old.version;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '40001',
            MESSAGE = 'somebody else changed the embedding at the same time',
            HINT = 'look at it, and alter it again';
    END IF;
    IF (v_model, v_kwargs, p_input, v_on_truncate) IS DISTINCT FROM
        (p_old.model, p_old.kwargs, p_old.input, p_old.on_truncate)
    THEN
        -- What was adopted was adopted for the old ones.
        UPDATE rowvec.embedding AS e
        SET adopted_before = NULL, adopted_cluster = NULL, adopted_tables = NULL
        WHERE e.id = p_old.id;
    END IF;
    IF p_may_raise AND NOT v_reads_as_before THEN
        PERFORM rowvec._guard(p_old.id);
    END IF;
    -- Those that the old index on pending rows is on stay, until the next job has built it anew.
    PERFORM rowvec._drop_guards(p_old.id, (SELECT e.guarded FROM rowvec.embedding AS e WHERE e.id = p_old.id));
    DELETE FROM rowvec.shard AS s WHERE s.embedding_id = p_old.id;
    -- Of texts, or of a recipe, that nobody asks about any more.
    DELETE FROM rowvec.failure AS f WHERE f.embedding_id = p_old.id;
    DELETE FROM rowvec.truncation AS t WHERE t.embedding_id = p_old.id;
    IF (v_model, v_kwargs, p_modality) IS DISTINCT FROM (p_old.model, p_old.kwargs, p_old.modality) THEN
        PERFORM rowvec._begin_anew(p_old);
        RAISE NOTICE USING
            MESSAGE = format('embedding "%s" of %s is empty now: its vectors were of another model',
                p_old.name, p_old.source),
            HINT = format('fill it: rowvec backfill %1$s, then rowvec index %1$s',
                rowvec._shell_words(p_old.source, p_old.source::text, p_old.name));
    END IF;
    PERFORM rowvec._prepare_jobs(p_old.id);
END
$function$;
