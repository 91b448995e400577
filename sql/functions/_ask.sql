-- Called by every function that needs the worker: builds the request, takes its deadline, calls.
CREATE OR REPLACE FUNCTION rowvec._ask(
    p_op text,
    p_model text DEFAULT NULL,
    p_inputs text[] DEFAULT NULL,
    p_kwargs jsonb DEFAULT NULL,
    p_priority text DEFAULT 'interactive',
    p_query text DEFAULT NULL
)
RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_kwargs CONSTANT jsonb := coalesce(p_kwargs, '{}');
    v_deadline_ms int;
BEGIN
    IF p_model IS NULL AND p_inputs IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'model must not be NULL',
            HINT = 'SELECT name FROM rowvec.models() lists the models';
    END IF;
    IF jsonb_typeof(v_kwargs) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE =
            format('kwargs must be a JSON object, not %s', jsonb_typeof(v_kwargs));
    END IF;
    IF v_kwargs ? 'timeout_ms' THEN
        IF v_kwargs ->> 'timeout_ms' !~ '^[1-9][0-9]{0,8}$' THEN
            RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
                'timeout_ms must be a whole number of milliseconds above 0, not %s',
                v_kwargs -> 'timeout_ms');
        END IF;
        v_deadline_ms := v_kwargs ->> 'timeout_ms';
    ELSE
        SELECT value #>> '{}' INTO STRICT v_deadline_ms
        FROM rowvec.setting
        WHERE name = 'worker_deadline_ms';
    END IF;
    RETURN rowvec._call(
        CASE
            WHEN p_inputs IS NULL THEN
                json_build_object('v', 1, 'op', p_op, 'deadline_ms', v_deadline_ms)
            WHEN p_query IS NULL THEN
                json_build_object(
                    'v', 1, 'op', p_op, 'model', p_model, 'inputs', p_inputs,
                    'kwargs', v_kwargs - 'timeout_ms', 'deadline_ms', v_deadline_ms,
                    'priority', p_priority)
            ELSE
                json_build_object(
                    'v', 1, 'op', p_op, 'model', p_model, 'query', p_query, 'inputs', p_inputs,
                    'kwargs', v_kwargs - 'timeout_ms', 'deadline_ms', v_deadline_ms,
                    'priority', p_priority)
        END,
        v_deadline_ms);
END
$function$;
