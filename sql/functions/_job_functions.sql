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
    c_tail CONSTANT text := CASE WHEN current_setting('server_version_num')::int >= 180000
        THEN E'\n    SET CONSTRAINTS ALL IMMEDIATE;\n'
        ELSE replace(E'\n    DECLARE\n        v_before numeric;\n    BEGIN\n        FOR v_turn IN 1..10 LOOP\n'
            '            v_before := @changes;\n            SET CONSTRAINTS ALL IMMEDIATE;\n'
            '            EXIT WHEN v_before OPERATOR(pg_catalog.=) @changes;\n'
            '            IF v_turn OPERATOR(pg_catalog.=) 10 THEN\n'
            '                RAISE EXCEPTION USING ERRCODE = ''54000'', '
            'MESSAGE = ''triggers of the table put off work to the commit again and again'';\n'
            '            END IF;\n        END LOOP;\n    END;\n', '@changes', c_changes)
        END;
    v_definition rowvec.embedding;
    v_source text;
    v_chunks CONSTANT regclass := rowvec._derived(p_embedding_id, 'chunks');
    v_pending CONSTANT text := rowvec._pending(p_embedding_id);
    v_input text;
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
    -- Bodies, to be completed: of a function that gives rows of a range, and of one that counts what it wrote.
    v_between text;
    v_rows text;
BEGIN
    SELECT * INTO STRICT v_definition FROM rowvec.embedding WHERE id = p_embedding_id;
    SELECT format('%I.%I', n.nspname, c.relname) INTO STRICT v_source
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = v_definition.source;
    v_input := rowvec._qualified(v_definition.input);
    v_hash := format('pg_catalog.hashtextextended((%s), 0)', v_input);
    SELECT array_agg(k.name ORDER BY k.n), array_agg(k.type ORDER BY k.n), count(*),
        string_agg('pg_catalog.text[]', ', '), string_agg(format('pg_catalog.unnest($%s)', k.n), ', ' ORDER BY k.n),
        string_agg('rowvec_k' || k.n, ', ' ORDER BY k.n),
        array_agg(format('g.rowvec_k%s::%s', k.n, k.type) ORDER BY k.n)
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
            THEN '(g.rowvec_key OPERATOR(pg_catalog.#>>) ''{}''::pg_catalog.text[])::%2$s'
            ELSE '(g.rowvec_key OPERATOR(pg_catalog.->>) %1$L)::%2$s' END, n, t)
        FROM unnest(v_names, v_types) WITH ORDINALITY AS k(n, t, i) ORDER BY i));

    v_between := E'\nBEGIN\n'
        -- Rows that a policy hides would never be filled: rather an error that says so.
        || replace(format(E'    IF pg_catalog.row_security_active(%s::pg_catalog.oid) THEN\n'
            '        RAISE EXCEPTION USING ERRCODE = ''42501'',\n            MESSAGE = %L,\n'
            '            HINT = %L;\n    END IF;\n',
            v_definition.source::oid,
            format('a policy hides rows of %s from its owner, as whom jobs read them', v_source),
            format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', v_source)), '%', '%%')
        || E'    RETURN QUERY EXECUTE pg_catalog.concat(%L,\n'
        '        CASE WHEN $1 IS NOT NULL THEN %L END, CASE WHEN $2 IS NOT NULL THEN %L END, %L)\n'
        '    USING %s;' || c_tail || E'END\n';
    v_rows := E'\nDECLARE\n    v_rows bigint;\nBEGIN\n    EXECUTE %L\n    USING %s;'
        '\n    GET DIAGNOSTICS v_rows = ROW_COUNT;' || c_tail || E'    RETURN v_rows;\nEND\n';
    -- The row is still as it was read: pending, and of the same text.
    v_guard := format('%s AND (%s) AND %s IS NOT DISTINCT FROM g.rowvec_hash',
        rowvec._key_condition(v_definition.source, '=', v_given_values), v_pending, v_hash);

    -- Pending rows in key order between two keys; the text where it is asked for. The planner takes
    -- nearly all rows for pending, whatever was filled since, and would read the table from its start.
    settings := ARRAY['row_security=on', 'enable_seqscan=off'];
    name := 'read';
    arguments := 'pg_catalog.text[], pg_catalog.text[], bigint, boolean';
    result := 'TABLE (row_key text[], json_key jsonb, input text, input_hash bigint, is_kept boolean)';
    body := format(v_between,
        format('SELECT ARRAY[%s], %s, CASE WHEN $4 THEN (%s)::pg_catalog.text END, %s, %s FROM %s WHERE (%s)',
            v_texts, rowvec._key_json(v_definition.source), v_input, v_hash,
            rowvec._kept(p_embedding_id), v_source, v_pending),
        v_lower, v_upper, format(' ORDER BY %s LIMIT $3', v_order), '$1, $2, $3, $4');
    RETURN NEXT;

    -- The key that so many pending rows of a range have up to it, and with it.
    name := 'after';
    arguments := 'pg_catalog.text[], pg_catalog.text[], bigint';
    result := 'TABLE (row_key text[])';
    body := format(v_between, format('SELECT ARRAY[%s] FROM %s WHERE (%s)', v_texts, v_source, v_pending),
        v_lower, v_upper, format(' ORDER BY %s OFFSET $3 OPERATOR(pg_catalog.-) 1 LIMIT 1', v_order),
        '$1, $2, $3');
    RETURN NEXT;

    -- Of the keys given, those that no row has any more.
    name := 'gone';
    arguments := 'pg_catalog.jsonb[]';
    result := 'SETOF jsonb';
    body := format(E'\nBEGIN\n    RETURN QUERY EXECUTE %L\n    USING $1;%sEND\n',
        format('SELECT g.rowvec_key FROM pg_catalog.unnest($1) AS g(rowvec_key) '
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
        v_pending, v_input, v_source), c_tail);
    RETURN NEXT;

    -- Few rows of many are found by their key, in the order given: whatever statistics say.
    settings := ARRAY['row_security=on', 'enable_hashjoin=off', 'enable_mergejoin=off'];
    -- Makes rows pending that still have a vector of this text.
    name := 'retry';
    arguments := 'pg_catalog.jsonb[], bigint[]';
    result := 'bigint';
    body := format(v_rows, format('UPDATE %1$s SET %2$I = NULL FROM ROWS FROM (pg_catalog.unnest($1), '
        'pg_catalog.unnest($2)) AS g(rowvec_key, rowvec_hash) '
        'WHERE %3$s AND %2$I OPERATOR(pg_catalog.=) g.rowvec_hash',
        v_source, v_definition.name || '_of', v_is_key), '$1, $2');
    RETURN NEXT;

    IF v_definition.destination = 'column' THEN
        -- Vectors and the hashes of what they were made from; NULL and NULL where the input is NULL.
        name := 'write';
        arguments := format('%s, bigint[], %s[]', v_arrays, c_vector);
        result := 'bigint';
        body := format(v_rows, format(
            'UPDATE %s SET %I = g.rowvec_vector, %I = g.rowvec_hash FROM ROWS FROM (%s, '
            'pg_catalog.unnest($%s), pg_catalog.unnest($%s)) AS g(%s, rowvec_hash, rowvec_vector) WHERE %s',
            v_source, v_definition.name, v_definition.name || '_of', v_given, v_count + 1, v_count + 2,
            v_given_names, v_guard),
            (SELECT string_agg('$' || i, ', ' ORDER BY i) FROM generate_series(1, v_count + 2) AS i));
        RETURN NEXT;

        -- The hashes alone, beside vectors that were adopted.
        name := 'keep';
        arguments := format('%s, bigint[]', v_arrays);
        body := format(v_rows, format(
            'UPDATE %s SET %I = g.rowvec_hash FROM ROWS FROM (%s, pg_catalog.unnest($%s)) '
            'AS g(%s, rowvec_hash) WHERE %s AND (%s)',
            v_source, v_definition.name || '_of', v_given, v_count + 1, v_given_names, v_guard,
            rowvec._kept(p_embedding_id)),
            (SELECT string_agg('$' || i, ', ' ORDER BY i) FROM generate_series(1, v_count + 1) AS i));
        RETURN NEXT;
    ELSIF v_chunks IS NOT NULL THEN
        -- Marks the rows that are still as they were read, removes their old chunks, gives their places.
        name := 'settle';
        arguments := format('%s, bigint[]', v_arrays);
        result := 'SETOF bigint';
        body := format(E'\nBEGIN\n    RETURN QUERY EXECUTE %L\n    USING %s;%sEND\n', format(
            'WITH settled AS (UPDATE %s SET %I = g.rowvec_hash FROM ROWS FROM (%s, pg_catalog.unnest($%s)) '
            'WITH ORDINALITY AS g(%s, rowvec_hash, rowvec_place) WHERE %s RETURNING g.*), '
            'gone AS (DELETE FROM %s USING settled AS g WHERE %s) SELECT g.rowvec_place FROM settled AS g',
            v_source, v_definition.name || '_of', v_given, v_count + 1, v_given_names, v_guard, v_chunks,
            rowvec._key_condition(v_definition.source, '=', v_given_values)),
            (SELECT string_agg('$' || i, ', ' ORDER BY i) FROM generate_series(1, v_count + 1) AS i),
            c_tail);
        RETURN NEXT;

        name := 'add';
        arguments := format('%s, int[], pg_catalog.text[], int[], int[], int[], %s[]', v_arrays, c_vector);
        result := 'bigint';
        body := format(v_rows, format(
            'INSERT INTO %s (%s, ordinality, chunk, start_char, end_char, tokens, embedding) '
            'SELECT %s, g.ordinality, g.chunk, g.start_char, g.end_char, g.tokens, g.embedding '
            'FROM ROWS FROM (%s) AS g(%s, ordinality, chunk, start_char, end_char, tokens, embedding)',
            v_chunks, v_columns, array_to_string(v_given_values, ', '),
            (SELECT string_agg(format('pg_catalog.unnest($%s)', i), ', ' ORDER BY i)
                FROM generate_series(1, v_count + 6) AS i),
            v_given_names),
            (SELECT string_agg('$' || i, ', ' ORDER BY i) FROM generate_series(1, v_count + 6) AS i));
        RETURN NEXT;
    END IF;
END
$function$;
