-- Called by a table's owner, and by `rowvec index --text`: says what hybrid search reads of a row.
--
-- Gives the statement that builds the index for it (in psql: \gexec), NULL where that index stands.
-- config is the language of the words. weights ({"title": "A", "body": "D"}) are Postgres's own, by
-- column; without them the embedding's input is read. document is a tsvector column of the table
-- instead: ranking then parses no text, which counts where many rows have a word.
CREATE OR REPLACE FUNCTION rowvec.set_text_search(
    source regclass,
    config regconfig DEFAULT NULL,
    weights jsonb DEFAULT NULL,
    embedding text DEFAULT NULL,
    document text DEFAULT NULL
)
RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $function$
DECLARE
    v_definition CONSTANT rowvec.embedding := rowvec._definition(source, embedding);
    v_config CONSTANT regconfig := coalesce(
        config, v_definition.text_config::regconfig, get_current_ts_config());
    v_document text;
    v_unknown text;
    v_index text;
    v_schema text;
    v_is_partitioned boolean;
    v_is_valid boolean;
BEGIN
    IF document IS NOT NULL AND weights IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'weights belong to the expression of a tsvector column: give one of the two';
    ELSIF document IS NOT NULL THEN
        SELECT quote_ident(a.attname) INTO v_document
        FROM pg_attribute AS a
        WHERE a.attrelid = source AND a.attname = document AND a.attnum > 0
            AND a.atttypid = 'tsvector'::regtype;
        IF v_document IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = '42703',
                MESSAGE = format('%s has no column "%s" of type tsvector', source, document);
        END IF;
    ELSIF weights IS NULL THEN
        v_document := format('rowvec_inputs.words(%L::pg_catalog.regconfig, ''D'', %s)', v_config,
            rowvec._qualified(v_definition.input));
    ELSIF jsonb_typeof(weights) <> 'object' OR weights = '{}' THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'weights must be a JSON object of columns and their weights',
            HINT = '{"title": "A", "body": "D"}';
    ELSE
        SELECT format('rowvec_inputs.words(%L::pg_catalog.regconfig, %L, %s)', v_config,
                string_agg(w.value, '' ORDER BY w.value, w.key),
                string_agg(format('%I::pg_catalog.text', w.key), ', ' ORDER BY w.value, w.key)),
            min(w.key) FILTER (WHERE a.attnum IS NULL OR w.value !~ '^[ABCD]$')
        INTO STRICT v_document, v_unknown
        FROM jsonb_each_text(weights) AS w
        LEFT JOIN pg_attribute AS a ON a.attrelid = source AND a.attname = w.key AND a.attnum > 0
            AND NOT a.attisdropped
            AND a.atttypid IN (SELECT t.oid FROM pg_type AS t WHERE t.typcategory = 'S');
        IF v_unknown IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = '22023',
                MESSAGE = format('"%s" is not a column of %s that holds text, or its weight is not '
                    'A, B, C or D', v_unknown, source);
        END IF;
    END IF;

    SELECT n.nspname, left(c.relname || '_' || v_definition.name || '_text_idx', 63),
        c.relkind = 'p'
    INTO STRICT v_schema, v_index, v_is_partitioned
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = source;
    SELECT i.indisvalid INTO v_is_valid
    FROM pg_index AS i
    WHERE i.indrelid = source AND i.indexrelid = to_regclass(format('%I.%I', v_schema, v_index));
    IF v_is_valid AND v_definition.text_document = v_document THEN
        RETURN NULL;
    ELSIF v_is_valid IS NOT NULL THEN
        -- Of another expression, or left over from a build that was killed.
        EXECUTE format('DROP INDEX %I.%I', v_schema, v_index);
    END IF;
    UPDATE rowvec.embedding AS e
    SET text_config = v_config::text, text_document = v_document
    WHERE e.id = v_definition.id;
    RETURN format('CREATE INDEX %s %I ON %s USING gin (%s)',
        CASE WHEN NOT v_is_partitioned THEN 'CONCURRENTLY' END, v_index, source, v_document);
END
$function$;
