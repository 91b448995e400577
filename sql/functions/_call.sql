-- Called by rowvec._ask alone: sends a request to the worker, gives its rows. The one caller of dblink.
CREATE OR REPLACE FUNCTION rowvec._call(p_request json, p_deadline_ms int)
RETURNS text[]
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED COST 100000
-- rowvec_caller owns it, and alone has the worker's password and USAGE on the schema of dblink.
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- dblink_send_query reports a dead line by a NOTICE that shows the name of the connection.
SET client_min_messages = warning
AS $function$
DECLARE
    -- Seconds that are left. The worker keeps the deadline from when it has read the request, and its words
    -- say more (that the model is still being loaded, for instance): only one that is mute is given up, later.
    -- The clock may be set meanwhile: each turn of the wait takes what the clock says, but no less than it
    -- slept, and a second more at most.
    v_left float8 := (p_deadline_ms + greatest(50, least(p_deadline_ms, 2000))) / 1000.0;
    v_then timestamptz := clock_timestamp();
    v_now timestamptz;
    v_asleep float8 := 0;
    -- The session's own role, SET ROLE included, whatever function it is in: no caller can pretend to
    -- another. It comes last: of two keys of one name the last one counts.
    v_role CONSTANT text := CASE current_setting('role')
        WHEN 'none' THEN session_user::text ELSE current_setting('role')
    END;
    v_open CONSTANT text := left(rtrim(p_request::text), -1) || ',"roles":';
    v_request text := v_open || json_build_array(v_role) || '}';
    v_told_all boolean := false;
    v_line text;
    v_fresh boolean;
    v_stage text;
    v_keep boolean;
    v_seat CONSTANT bigint := hashtextextended('rowvec.spin', 0);
    v_spins boolean := false;
    v_turns int := 0;
    v_pause float8 := 0.001;
    v_slept boolean;
    v_expected float8;
    v_reply text[];
    v_code text;
    v_message text;
    v_detail text;
    v_hint text;
BEGIN
    -- Unguessable, so that no other code can open a connection under it; derived, so that none is lost
    -- with a rollback.
    SELECT 'rowvec_' || left(encode(sha256(convert_to(value || pg_backend_pid(), 'UTF8')), 'hex'), 32)
    INTO STRICT v_line
    FROM rowvec.secret;

    IF json_typeof(p_request) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'a request is a JSON object';
    ELSIF p_request ->> 'op' = 'dataset' AND NOT EXISTS (
        -- The one operation that not every function of rowvec_user's calls.
        SELECT FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname = 'pgml' AND p.proname = 'load_dataset'
            AND has_schema_privilege(v_role, n.oid, 'USAGE') AND has_function_privilege(v_role, p.oid, 'EXECUTE'))
    THEN
        RAISE EXCEPTION USING ERRCODE = '42501',
            MESSAGE = format('"%s" may not read datasets', v_role),
            HINT = 'who may execute pgml.load_dataset may; it is the owner''s';
    END IF;

    LOOP
        BEGIN
            v_expected := NULL;
            v_stage := 'connect';
            v_fresh := v_line <> ALL (coalesce(@extschema:dblink@.dblink_get_connections(), '{}'));
            IF v_fresh THEN
                PERFORM @extschema:dblink@.dblink_connect(v_line, 'rowvec_worker');
            END IF;

            -- A line that still carries an answer refuses to send: an old answer is never read.
            v_stage := 'send';
            IF @extschema:dblink@.dblink_send_query(v_line, v_request) <> 1 THEN
                RAISE EXCEPTION USING ERRCODE = '08006', MESSAGE = 'the request could not be sent';
            END IF;

            -- Waiting in dblink_get_result would know no deadline, and no cancel before 15.13 and
            -- 16.9. pg_sleep knows no less than 1 ms: while it still spins, which takes about one,
            -- come answers from the cache, and the "ready" set of short texts, which the worker
            -- sends as soon as their vectors are milliseconds away. Who spins keeps the seat while it
            -- waits: of many sessions in line a few spin, the others leave the processor to the
            -- model. A pause is a third of the wait so far, at most 25 ms. After a quarter of a
            -- second another session may spin.
            v_stage := 'wait';
            v_spins := pg_try_advisory_lock(v_seat);
            LOOP
                WHILE @extschema:dblink@.dblink_is_busy(v_line) = 1 LOOP
                    v_turns := v_turns + 1;
                    CONTINUE WHEN v_spins AND v_turns < 800;
                    v_now := clock_timestamp();
                    v_left := v_left - least(
                        greatest(extract(epoch FROM v_now - v_then)::float8, v_asleep), v_asleep + 1);
                    v_then := v_now;
                    IF v_left < 0 THEN
                        v_stage := 'timeout';
                        RAISE EXCEPTION USING ERRCODE = '57000', MESSAGE =
                            format('the rowvec worker did not answer within %s ms', p_deadline_ms);
                    END IF;
                    -- As an expression it needs no executor, which PERFORM sets up every time.
                    v_slept := pg_sleep(v_pause) IS NULL;
                    v_asleep := v_pause;
                    v_pause := least(1.5 * v_pause, 0.025);
                    IF v_spins AND v_turns > 815 THEN
                        v_spins := NOT pg_advisory_unlock(v_seat);
                    END IF;
                END LOOP;
                EXIT WHEN v_expected IS NOT NULL;

                -- The worker's "ready" set. It is empty where the rows are on their way: polling for
                -- megabytes would be slow, and polling for a vector that is milliseconds away would
                -- take the processor from the model. Else it says in how many milliseconds the row
                -- is likely to come, which spares looking a dozen times in vain, and spinning.
                v_stage := 'answer';
                SELECT r.x::float8 / 1000
                INTO v_expected
                FROM @extschema:dblink@.dblink_get_result(v_line) AS r(x text);
                EXIT WHEN v_expected IS NULL;
                v_stage := 'wait';
                v_pause := least(0.75 * v_expected, v_left);
                v_slept := pg_sleep(v_pause) IS NULL;
                v_asleep := v_asleep + v_pause;
                v_pause := least(v_expected / 12, 0.025);
                v_turns := greatest(v_turns, 800);
            END LOOP;
            IF v_spins THEN
                v_spins := NOT pg_advisory_unlock(v_seat);
            END IF;

            -- The rows, and the end.
            v_stage := 'answer';
            SELECT array_agg(r.x)
            INTO v_reply
            FROM @extschema:dblink@.dblink_get_result(v_line) AS r(x text);
            PERFORM FROM @extschema:dblink@.dblink_get_result(v_line) AS r(x text);
            RETURN v_reply;
        EXCEPTION WHEN query_canceled OR OTHERS THEN  -- OTHERS alone lets a cancel pass
            GET STACKED DIAGNOSTICS v_code = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT,
                v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
        END;

        IF v_spins THEN
            v_spins := NOT pg_advisory_unlock(v_seat);
        END IF;

        -- After an error that the worker sent, the line is good once its end is read. After anything
        -- else it is dropped, which also tells the worker that no session waits any more.
        v_keep := v_stage = 'answer' AND v_code !~ '^(08|57014|57P)';
        IF v_keep THEN
            BEGIN
                v_keep := @extschema:dblink@.dblink_is_busy(v_line) = 0;
                IF v_keep THEN
                    PERFORM FROM @extschema:dblink@.dblink_get_result(v_line) AS r(x text);
                    v_keep := NOT FOUND;
                END IF;
            EXCEPTION WHEN OTHERS THEN
                v_keep := false;
            END;
        END IF;
        IF NOT v_keep AND v_line = ANY (@extschema:dblink@.dblink_get_connections()) THEN
            PERFORM @extschema:dblink@.dblink_disconnect(v_line);
        END IF;

        EXIT WHEN v_left < 0;
        IF v_code = '42501' AND v_stage = 'answer' AND NOT v_told_all THEN
            -- The model may be for a role that this one is a member of. To say so every time would
            -- take a look at all roles every time.
            v_told_all := true;
            SELECT v_open || json_agg(rolname) || '}'
            INTO STRICT v_request
            FROM pg_roles
            WHERE pg_has_role(v_role, oid, 'USAGE');
        ELSE
            -- A line of an earlier call may have died since (idle for long, a worker restarted). To
            -- embed twice does no harm.
            EXIT WHEN v_fresh OR v_code !~ '^(08|57P)';
        END IF;
    END LOOP;

    -- Raised again: dblink's own context shows the name of the connection.
    IF v_stage = 'connect' AND v_code IN ('08001', '2F003', '42704') THEN
        CASE
            WHEN v_code = '42704' THEN
                v_message := 'this database has no password for the rowvec worker';
            WHEN v_code = '2F003' THEN
                v_message := 'the rowvec worker must ask for a password and did not';
            WHEN v_detail LIKE '%password authentication failed%' THEN
                v_message := 'the rowvec worker refused the password that this database has for it';
            ELSE
                v_message := 'cannot reach the rowvec worker';
        END CASE;
        RAISE EXCEPTION USING ERRCODE = '08001', MESSAGE = v_message,
            DETAIL = regexp_replace(v_detail, '\s+', ' ', 'g'),
            HINT = 'rowvec worker starts one, rowvec server set says where it is';
    ELSIF v_code LIKE '08%' THEN
        RAISE EXCEPTION USING ERRCODE = '08006',
            MESSAGE = 'the connection to the rowvec worker was lost',
            DETAIL = regexp_replace(v_message, '\s+', ' ', 'g'),
            HINT = 'try again; rowvec server ping says whether the worker answers';
    ELSIF v_detail <> '' AND v_hint <> '' THEN
        -- The worker's detail is a JSON object: which input failed.
        RAISE EXCEPTION USING ERRCODE = v_code, MESSAGE = v_message, DETAIL = v_detail, HINT = v_hint;
    ELSIF v_detail <> '' THEN
        RAISE EXCEPTION USING ERRCODE = v_code, MESSAGE = v_message, DETAIL = v_detail;
    ELSIF v_hint <> '' THEN
        RAISE EXCEPTION USING ERRCODE = v_code, MESSAGE = v_message, HINT = v_hint;
    ELSE
        RAISE EXCEPTION USING ERRCODE = v_code, MESSAGE = v_message;
    END IF;
END
$function$;
