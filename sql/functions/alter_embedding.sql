-- Called by the owner of a table: changes an embedding; what is NULL stays as it is.
--
-- filter => 'true' takes part for every row again; kwargs replaces all of them, chunk what it names.
-- Another input or filter makes pending what it changes, another chunk or on_truncate all rows, and old vectors
-- serve until the new ones are there. Another model, other kwargs or another revision of the model begin with an empty
-- column, because vectors of two models in one column would be compared; for a change without a gap, create
-- another embedding beside this one.
CREATE OR REPLACE FUNCTION rowvec.alter_embedding(
    source regclass,
    embedding text DEFAULT NULL,
    model text DEFAULT NULL,
    input text DEFAULT NULL,
    filter text DEFAULT NULL,
    kwargs jsonb DEFAULT NULL,
    on_truncate text DEFAULT NULL,
    chunk jsonb DEFAULT NULL
)
RETURNS void
-- No search_path of its own: input and filter are the caller's, and mean what they mean to the caller.
LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    v_old rowvec.embedding;
    v_input pg_catalog.text;
    v_filter pg_catalog.text;
    v_modality pg_catalog.text;
    v_columns pg_catalog.text[];
    v_may_raise boolean;
BEGIN
    -- As it was declared, where _definition gives it as it is read.
    v_old := rowvec._definition(source, embedding);
    SELECT e.* INTO STRICT v_old FROM rowvec.embedding AS e WHERE e.id OPERATOR(pg_catalog.=) v_old.id;
    v_input := v_old.input;
    v_filter := v_old.filter;
    v_modality := v_old.modality;
    IF input IS NOT NULL OR filter IS NOT NULL THEN
        -- What is not given has been written by Postgres, qualified: it means the same to everybody.
        SELECT c.* INTO STRICT v_input, v_filter, v_modality, v_columns, v_may_raise
        FROM rowvec._canonical_expressions(
            source, coalesce(input, rowvec._qualified(v_input)),
            coalesce(filter, rowvec._qualified(v_filter))) AS c;
        IF input IS NULL THEN
            v_input := v_old.input;
            v_modality := v_old.modality;
        END IF;
    END IF;
    PERFORM rowvec._alter(
        v_old, model, v_input, v_modality, v_filter, v_columns, v_may_raise, kwargs, on_truncate, chunk);
END
$function$;
