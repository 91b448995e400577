-- Called by every member of rowvec_user: what the worker serves, and how much it did so far.
CREATE OR REPLACE FUNCTION rowvec.models()
RETURNS TABLE (
    name text,
    kind text,
    dimensions int,
    max_tokens int,
    query_prompt text,
    document_prompt text,
    revision text,
    loaded boolean,
    requests bigint,
    texts bigint,
    tokens bigint,
    memory_bytes bigint,
    last_use timestamptz,
    backend text,
    backend_reason text,
    -- cpu, cuda:N or mps; NULL until it is loaded.
    device text,
    -- Who may use it; NULL is everybody.
    roles text[]
)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_answers CONSTANT text[] := rowvec._ask('models');
BEGIN
    RETURN QUERY
    SELECT m.*
    FROM unnest(v_answers) AS answer,
        jsonb_to_record(answer::jsonb) AS m(
            name text, kind text, dimensions int, max_tokens int, query_prompt text,
            document_prompt text, revision text, loaded boolean, requests bigint, texts bigint,
            tokens bigint, memory_bytes bigint, last_use timestamptz, backend text,
            backend_reason text, device text, roles text[]);
END
$function$;
