-- Called by _prepare_jobs alone: the functions by which jobs reach the rows of an embedding, as they have to be now.
--
-- They run as the source's owner, under the owner's search_path: every name in them is qualified. Each
-- ends with SET CONSTRAINTS, since what triggers have put off to the commit would run as the session's role.
CREATE OR REPLACE FUNCTION rowvec._job_functions(p_embedding_id bigint)
RETURNS TABLE (name text, arguments text, result text, settings text[], body text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_vector CONSTANT text := '@extschema:vector@.vector';
    c_changes CONSTANT text := '(SELECT coalesce(pg_catalog.sum(s.n_tup_ins OPERATOR(pg_catalog.+) s.n_tup_upd '
        'OPERATOR(pg_catalog.+) s.n_tup_del), 0) FROM pg_catalog.pg_stat_xact_all_tables AS s)';
    -- Since Postgres 18 a trigger runs as the role that it was queued by. Before, what triggers put off once
    -- more while these run would be the commit's: they run until none has changed a row, so has queued any.
    c_constraints CONSTANT text := CASE WHEN current_setting('server_version_num')::int >= 180000
        THEN E'\n    SET CONSTRAINTS ALL IMMEDIATE;'
        ELSE replace(E'\n    DECLARE\n        v_before numeric;\n    BEGIN\n        FOR v_turn IN 1..10 LOOP\n'
            '            v_before := @changes;\n            SET CONSTRAINTS ALL IMMEDIATE;\n'
            '            EXIT WHEN v_before OPERATOR(pg_catalog.=) @changes;\n'
            '            IF v_turn OPERATOR(pg_catalog.=) 10 THEN\n'
            '                RAISE EXCEPTION USING ERRCODE = ''54000'', '
            'MESSAGE = ''triggers of the table put off work to the commit again and again'';\n'
            '            END IF;\n        END LOOP;\n    END;', '@changes', c_changes)
        END;
    -- The commit reads a cursor WITH HOLD to its end, as the session's role: none that was opened in here is left.
    c_tail CONSTANT text := c_constraints || E'\n    DECLARE\n        v_cursor pg_catalog.text;\n    BEGIN\n'
        '        FOR v_cursor IN SELECT c.name FROM pg_catalog.pg_cursors AS c WHERE c.is_holdable '
        'AND c.creation_time OPERATOR(pg_catalog.>=) pg_catalog.statement_timestamp() LOOP\n'
        '            EXECUTE pg_catalog.concat(''CLOSE '', pg_catalog.quote_ident(v_cursor));\n'
        '        END LOOP;\n    END;\n';
    v_definition rowvec.embedding;
    v_source text;
    v_chunks CONSTANT regclass := rowvec._derived(p_embedding_id, 'chunks');
    v_pending CONSTANT text := rowvec._pending(p_embedding_id);
    v_hash text;
    v_names text[];
    v_types text[];
    v_count int;
    -- As SQL, an element a column of the key: arrays as parameters, a given row's, a bound's.
    v_arrays text;
    v_given text;
    v_given_names text;
    v_given_values text[];
    v_texts text;
    v_order text;
    v_columns text;
    v_lower text;
    v_upper text;
    v_is_key text;
    v_guard text;
    -- Bodies, to be completed, or parts: of a function that gives rows of a range, of one that counts what it wrote, and
    -- of one that marks rows as done.
    v_settings text[];
    v_check text;
    v_between text;
    v_rows_read text;
    v_rows text;
    v_written text;
    v_done text;
    v_keys text;
    v_hashes text;
BEGIN
    SELECT r.* INTO STRICT v_definition
    FROM rowvec.embedding AS e CROSS JOIN LATERAL rowvec._as_read(e) AS r
    WHERE e.id = p_embedding_id;
    SELECT format('%I.%I', n.nspname, c.relname) INTO STRICT v_source
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = v_definition.source;
    v_hash := format('pg_catalog.hashtextextended((%s), 0)', rowvec._hashed(v_definition));
    SELECT array_agg(k.name ORDER BY k.n), array_agg(k.type ORDER BY k.n), count(*),
        string_agg('pg_catalog.text[]', ', '), string_agg(format('pg_catalog.unnest($%s)', k.n), ', ' ORDER BY k.n),
        string_agg('rowvec_k' || k.n, ', ' ORDER BY k.n),
        array_agg(format('rowvec_g.rowvec_k%s::%s', k.n, k.type) ORDER BY k.n)
    INTO STRICT v_names, v_types, v_count, v_arrays, v_given, v_given_names, v_given_values
    FROM ROWS FROM (rowvec._key_columns(v_definition.source)) WITH ORDINALITY AS k(name, type, n);
    v_lower := ' AND ' || rowvec._key_condition(v_definition.source, '>', ARRAY(
        SELECT format('$1[%s]::%s', n, t) FROM unnest(v_types) WITH ORDINALITY AS k(t, n) ORDER BY n));
    v_upper := ' AND ' || rowvec._key_condition(v_definition.source, '<=', ARRAY(
        SELECT format('$2[%s]::%s', n, t) FROM unnest(v_types) WITH ORDINALITY AS k(t, n) ORDER BY n));
    SELECT string_agg(format('%I::pg_catalog.text', n), ', ' ORDER BY i),
        -- In full: a bare name in ORDER BY would mean an output column first.
        string_agg(format('%s.%I', v_source, n), ', ' ORDER BY i),
        string_agg(quote_ident(n), ', ' ORDER BY i)
    INTO STRICT v_texts, v_order, v_columns
    FROM unnest(v_names) WITH ORDINALITY AS k(n, i);

    -- The key of a row is that of a jsonb value.
    v_is_key := rowvec._key_condition(v_definition.source, '=', ARRAY(
        SELECT format(CASE v_count WHEN 1
            THEN '(rowvec_g.rowvec_key OPERATOR(pg_catalog.#>>) ''{}''::pg_catalog.text[])::%2$s'
            ELSE '(rowvec_g.rowvec_key OPERATOR(pg_catalog.->>) %1$L)::%2$s' END, n, t)
        FROM unnest(v_names, v_types) WITH ORDINALITY AS k(n, t, i) ORDER BY i));

    -- Rows that a policy hides would never be filled: rather an error that says so.
    v_check := format(E'    IF pg_catalog.row_security_active(%s::pg_catalog.oid) THEN\n'
        '        RAISE EXCEPTION USING ERRCODE = ''42501'',\n            MESSAGE = %L,\n'
        '            HINT = %L;\n    END IF;\n',
        v_definition.source::oid,
        format('a policy hides rows of %s from its owner, as whom jobs read them', v_source),
        format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', v_source));
    v_between := E'    RETURN QUERY EXECUTE pg_catalog.concat(%L,\n'
        '        CASE WHEN $1 IS NOT NULL THEN %L END, CASE WHEN $2 IS NOT NULL THEN %L END, %L)\n'
        '    USING %s;\n';
    v_rows := E'\nDECLARE\n    v_rows bigint;\nBEGIN\n    EXECUTE %L\n    USING %s;'
        '\n    GET DIAGNOSTICS v_rows = ROW_COUNT;' || c_tail || E'    RETURN v_rows;\nEND\n';
    -- The row is still as it was read: pending, and of the same text.
    v_guard := format('%s AND (%s) AND %s IS NOT DISTINCT FROM rowvec_g.rowvec_hash',
        rowvec._key_condition(v_definition.source, '=', v_given_values), v_pending, v_hash);
    v_keys := (SELECT string_agg('$' || i, ', ' ORDER BY i) FROM generate_series(1, v_count) AS i);
    v_hashes := '$' || v_count + 1;
    -- Triggers that change the text of the row, or undo what was written, make a row pending again, and a job
    -- would go on for ever. Such a row is pending after it was marked, or unmarked with the text as it was:
    -- nobody else can have changed it, since it is locked.
    v_done := E'\nDECLARE\n    v_places bigint[];\n    v_returns boolean;\nBEGIN\n    EXECUTE %L\n    INTO v_places'
        '\n    USING %s;' || c_tail || E'    EXECUTE '
        || replace(quote_literal(format(
            'SELECT EXISTS (SELECT FROM %s, ROWS FROM (%s, pg_catalog.unnest($%s)) WITH ORDINALITY '
            'AS rowvec_g(%s, rowvec_hash, rowvec_place) WHERE %s AND (%s) AND '
            '(rowvec_g.rowvec_place OPERATOR(pg_catalog.=) ANY ($%s) OR %s IS NOT DISTINCT FROM rowvec_g.rowvec_hash))',
            v_source, v_given, v_count + 1, v_given_names,
            rowvec._key_condition(v_definition.source, '=', v_given_values), v_pending, v_count + 2, v_hash)),
            '%', '%%')
        || E'\n    INTO v_returns\n    USING ' || v_keys || E', %s, v_places;\n    IF v_returns THEN\n'
        '        RAISE EXCEPTION USING ERRCODE = ''27000'', MESSAGE = ''a row is pending after it was written'';\n'
        '    END IF;\n    %s\nEND\n';

    -- The same of rows whose own hash tells that they were written: a statement that returns something can have no
    -- rule beside it, and an UPDATE of a column may.
    v_written := E'\nDECLARE\n    v_rows bigint;\n    v_returns boolean;\nBEGIN\n    EXECUTE %L\n    USING %s;'
        '\n    GET DIAGNOSTICS v_rows = ROW_COUNT;' || c_tail || E'    EXECUTE '
        || replace(quote_literal(format(
            'SELECT EXISTS (SELECT FROM %1$s, ROWS FROM (%2$s, pg_catalog.unnest($%3$s)) '
            'AS rowvec_g(%4$s, rowvec_hash) WHERE %5$s AND (%6$s) AND (%1$s.%7$I OPERATOR(pg_catalog.=) '
            'rowvec_g.rowvec_hash OR $%8$s AND %9$s IS NOT DISTINCT FROM rowvec_g.rowvec_hash))',
            v_source, v_given, v_count + 1, v_given_names,
            rowvec._key_condition(v_definition.source, '=', v_given_values), v_pending,
            v_definition.name || '_of', v_count + 2, v_hash)), '%', '%%')
        || E'\n    INTO v_returns\n    USING ' || v_keys || ', ' || v_hashes || E', %s;\n    IF v_returns THEN\n'
        '        RAISE EXCEPTION USING ERRCODE = ''27000'', MESSAGE = ''a row is pending after it was written'';\n'
        '    END IF;\n    RETURN v_rows;\nEND\n';

    -- Pending rows in key order between two keys; the text where it is asked for, and the SQLSTATE of the error
    -- that it raises. The planner takes nearly all rows for pending, whatever was filled since, and would read
    -- the table from its start.
    -- A key is one text in every session: it is what failures are known by, and where a range ends.
    v_settings := ARRAY['row_security=on', 'enable_seqscan=off', 'DateStyle=iso', 'TimeZone=utc',
        'IntervalStyle=postgres', 'extra_float_digits=1', 'bytea_output=hex'];
    -- What is planned without the limit would sort all that is pending.
    settings := v_settings || ARRAY['enable_sort=off', 'enable_bitmapscan=off', 'plan_cache_mode=force_generic_plan'];
    name := 'read';
    arguments := 'pg_catalog.text[], pg_catalog.text[], bigint, boolean';
    result := 'TABLE (row_key text[], json_key jsonb, input text, input_hash bigint, is_kept boolean, error text)';
    v_rows_read := format('SELECT ARRAY[%s], %s, CASE WHEN $4 THEN (%s)::pg_catalog.text END, %s, %s, %s FROM %s WHERE (%s)',
        v_texts, rowvec._key_json(v_definition.source), v_definition.input, v_hash,
        rowvec._kept(p_embedding_id),
        -- Only of a row that gives no text: to know it costs as much as to read the input again.
        CASE WHEN v_definition.guarded IS NULL THEN 'NULL::pg_catalog.text'
            ELSE format('CASE WHEN (%s) IS NULL THEN %s END', v_definition.input,
                v_definition.guarded ->> 'error') END,
        v_source, v_pending);
    -- An idle sync looks without bounds every second: that is planned once a session.
    body := E'\n#variable_conflict use_column\nBEGIN\n' || v_check || format(
        E'    IF $1 IS NULL AND $2 IS NULL THEN\n        RETURN QUERY %s ORDER BY %s LIMIT $3;\n    ELSE\n    %s'
        '    END IF;', v_rows_read, v_order,
        format(v_between, v_rows_read, v_lower, v_upper, format(' ORDER BY %s LIMIT $3', v_order), '$1, $2, $3, $4'))
        || c_tail || E'END\n';
    RETURN NEXT;

    settings := v_settings;
    -- The key that so many pending rows of a range have up to it, and with it.
    name := 'after';
    arguments := 'pg_catalog.text[], pg_catalog.text[], bigint';
    result := 'TABLE (row_key text[])';
    body := E'\nBEGIN\n' || v_check || format(v_between,
        format('SELECT ARRAY[%s] FROM %s WHERE (%s)', v_texts, v_source, v_pending),
        v_lower, v_upper, format(' ORDER BY %s OFFSET $3 OPERATOR(pg_catalog.-) 1 LIMIT 1', v_order),
        '$1, $2, $3') || c_tail || E'END\n';
    RETURN NEXT;

    -- Of the keys given, those that no row has any more.
    name := 'gone';
    arguments := 'pg_catalog.jsonb[]';
    result := 'SETOF jsonb';
    body := format(E'\nBEGIN\n    RETURN QUERY EXECUTE %L\n    USING $1;%sEND\n',
        format('SELECT rowvec_g.rowvec_key FROM pg_catalog.unnest($1) AS rowvec_g(rowvec_key) '
            'WHERE NOT EXISTS (SELECT FROM %s WHERE %s)', v_source, v_is_key), c_tail);
    RETURN NEXT;

    -- Of a percentage of the table's blocks: rows, pending ones, and some of the inputs of these.
    name := 'sample';
    arguments := 'float8, bigint';
    result := 'TABLE (all_rows bigint, pending bigint, inputs text[])';
    body := format(E'\nBEGIN\n    RETURN QUERY EXECUTE %L\n    USING $1, $2;%sEND\n', format(
        'SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE s.rowvec_pending), '
        '(pg_catalog.array_agg(s.rowvec_input ORDER BY pg_catalog.random()) '
        'FILTER (WHERE s.rowvec_pending AND s.rowvec_input IS NOT NULL))[:$2] '
        'FROM (SELECT (%1$s) AS rowvec_pending, CASE WHEN %1$s THEN (%2$s)::pg_catalog.text END AS rowvec_input '
        'FROM %3$s TABLESAMPLE SYSTEM ($1)) AS s',
        v_pending, v_definition.input, v_source), c_tail);
    RETURN NEXT;

    -- Rows that take part, and pending ones; NULL for what is not to be counted.
    name := 'count';
    arguments := 'boolean, boolean';
    result := 'TABLE (all_rows bigint, pending bigint)';
    -- It is called without a look at whether it is as it has to be: by whatever name the source has now.
    body := format(E'\nBEGIN\n    RETURN QUERY EXECUTE pg_catalog.concat(%1$L, %4$s, %2$L, %4$s, %3$L)\n'
        '    USING $1, $2;',
        'SELECT CASE WHEN $1 THEN (SELECT pg_catalog.count(*) FROM ',
        format(' WHERE %s) END, CASE WHEN $2 THEN (SELECT pg_catalog.count(*) FROM ',
            coalesce(v_definition.filter, 'true')),
        format(' WHERE %s) END', v_pending),
        format('%s::pg_catalog.oid::pg_catalog.regclass', v_definition.source::oid))
        || c_tail || E'END\n';
    RETURN NEXT;

    -- A statement of the catalog's owner, for what is seldom done: clusters, maps, samples. Nobody else may call it.
    settings := ARRAY['row_security=on'];
    name := 'act';
    arguments := 'pg_catalog.text, pg_catalog.text[]';
    result := 'SETOF record';
    body := E'\nBEGIN\n' || v_check || E'    RETURN QUERY EXECUTE $1 USING $2;' || c_tail || E'END\n';
    RETURN NEXT;

    -- Few rows of many are found by their key, in the order given: whatever statistics say.
    settings := ARRAY['row_security=on', 'enable_hashjoin=off', 'enable_mergejoin=off'];
    -- Makes rows pending that still have a vector of this text.
    name := 'retry';
    arguments := 'pg_catalog.jsonb[], bigint[]';
    result := 'bigint';
    body := format(v_rows, format('UPDATE %1$s SET %2$I = NULL FROM ROWS FROM (pg_catalog.unnest($1), '
        'pg_catalog.unnest($2)) AS rowvec_g(rowvec_key, rowvec_hash) '
        'WHERE %3$s AND %2$I OPERATOR(pg_catalog.=) rowvec_g.rowvec_hash',
        v_source, v_definition.name || '_of', v_is_key), '$1, $2');
    RETURN NEXT;

    IF v_definition.destination = 'column' THEN
        -- Vectors and the hashes of what they were made from; NULL and NULL where the input is NULL.
        name := 'write';
        arguments := format('%s, bigint[], %s[]', v_arrays, c_vector);
        result := 'bigint';
        body := format(v_written, format(
            'UPDATE %s SET %I = rowvec_g.rowvec_vector, %I = rowvec_g.rowvec_hash FROM ROWS FROM (%s, '
            'pg_catalog.unnest($%s), pg_catalog.unnest($%s)) AS rowvec_g(%s, rowvec_hash, rowvec_vector) WHERE %s',
            v_source, v_definition.name, v_definition.name || '_of', v_given, v_count + 1, v_count + 2,
            v_given_names, v_guard),
            format('%s, %s, $%s', v_keys, v_hashes, v_count + 2), 'true');
        RETURN NEXT;

        -- The hashes alone, beside vectors that were adopted.
        name := 'keep';
        arguments := format('%s, bigint[]', v_arrays);
        body := format(v_written, format(
            'UPDATE %s SET %I = rowvec_g.rowvec_hash FROM ROWS FROM (%s, pg_catalog.unnest($%s)) '
            'AS rowvec_g(%s, rowvec_hash) WHERE %s AND (%s)',
            v_source, v_definition.name || '_of', v_given, v_count + 1, v_given_names, v_guard,
            rowvec._kept(p_embedding_id)),
            -- Unmarked are rows that somebody wrote meanwhile: their vectors are not kept.
            format('%s, %s', v_keys, v_hashes), 'false');
        RETURN NEXT;
    ELSIF v_chunks IS NOT NULL THEN
        -- Marks the rows that are still as they were read, removes their old chunks, gives their places.
        name := 'settle';
        arguments := format('%s, bigint[]', v_arrays);
        result := 'SETOF bigint';
        body := format(v_done, format(
            'WITH rowvec_settled AS (UPDATE %s SET %I = rowvec_g.rowvec_hash FROM ROWS FROM (%s, pg_catalog.unnest($%s)) '
            'WITH ORDINALITY AS rowvec_g(%s, rowvec_hash, rowvec_place) WHERE %s RETURNING rowvec_g.*), '
            'rowvec_gone AS (DELETE FROM %s USING rowvec_settled AS rowvec_g WHERE %s) '
            'SELECT pg_catalog.array_agg(rowvec_g.rowvec_place) FROM rowvec_settled AS rowvec_g',
            v_source, v_definition.name || '_of', v_given, v_count + 1, v_given_names, v_guard, v_chunks,
            rowvec._key_condition(v_definition.source, '=', v_given_values)),
            format('%s, %s', v_keys, v_hashes), v_hashes,
            'RETURN QUERY SELECT pg_catalog.unnest(v_places);');
        RETURN NEXT;

        name := 'add';
        arguments := format('%s, int[], pg_catalog.text[], int[], int[], int[], %s[]', v_arrays, c_vector);
        result := 'bigint';
        body := format(v_rows, format(
            'INSERT INTO %s (%s, ordinality, chunk, start_char, end_char, tokens, embedding) '
            'SELECT %s, rowvec_g.ordinality, rowvec_g.chunk, rowvec_g.start_char, rowvec_g.end_char, rowvec_g.tokens, rowvec_g.embedding '
            'FROM ROWS FROM (%s) AS rowvec_g(%s, ordinality, chunk, start_char, end_char, tokens, embedding)',
            v_chunks, v_columns, array_to_string(v_given_values, ', '),
            (SELECT string_agg(format('pg_catalog.unnest($%s)', i), ', ' ORDER BY i)
                FROM generate_series(1, v_count + 6) AS i),
            v_given_names),
            (SELECT string_agg('$' || i, ', ' ORDER BY i) FROM generate_series(1, v_count + 6) AS i));
        RETURN NEXT;
    END IF;
END
$function$;
