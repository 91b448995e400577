-- Called by whatever finds rows by key: the SQL condition that compares the key of a row with values, one expression a column.
--
-- By the operators that the key's own index has, whatever a search_path would make of "=" and ">", and
-- wherever the type of a key has them. p_table is in front of the columns, where several tables have such.
CREATE OR REPLACE FUNCTION rowvec._key_condition(p_source regclass, p_operator text, p_values text[], p_table text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_column record;
    v_columns text[];
    v_operators text[];
    v_condition text;
BEGIN
    FOR v_column IN
        SELECT concat(p_table || '.', quote_ident(a.attname)) AS name, v.value,
            o.operators[1] AS equal, o.operators[2] AS beyond, o.operators[3] AS wanted
        FROM pg_index AS i
        CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[], p_values)
            WITH ORDINALITY AS v(attnum, class, value, position)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = v.attnum
        JOIN pg_opclass AS c ON c.oid = v.class
        CROSS JOIN LATERAL (
            -- Strategies of a btree: 1 to 5 are <, <=, =, >=, >.
            SELECT array_agg(format('OPERATOR(%I.%s)', n.nspname, p.oprname) ORDER BY w.place)
            FROM unnest(CASE p_operator
                WHEN '=' THEN ARRAY[3, 3, 3] WHEN '>' THEN ARRAY[3, 5, 5] WHEN '<=' THEN ARRAY[3, 1, 2]
                END) WITH ORDINALITY AS w(strategy, place)
            JOIN pg_amop AS m ON m.amopfamily = c.opcfamily AND m.amopstrategy = w.strategy
                AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype
            JOIN pg_operator AS p ON p.oid = m.amopopr
            JOIN pg_namespace AS n ON n.oid = p.oprnamespace
        ) AS o(operators)
        WHERE i.indrelid = p_source AND i.indisprimary AND v.position <= i.indnkeyatts
        ORDER BY v.position DESC
    LOOP
        v_columns := v_column.name || v_columns;
        v_operators := v_column.wanted || v_operators;
        v_condition := CASE
            WHEN v_condition IS NULL THEN
                format('%s %s %s', v_column.name, v_column.wanted, v_column.value)
            WHEN p_operator = '=' THEN
                format('%s %s %s AND %s', v_column.name, v_column.equal, v_column.value, v_condition)
            ELSE
                format('(%1$s %2$s %3$s OR %1$s %4$s %3$s AND %5$s)', v_column.name,
                    v_column.beyond, v_column.value, v_column.equal, v_condition)
        END;
    END LOOP;
    -- Where one operator does for all columns, rows are compared as the index sorts them.
    IF p_operator <> '=' AND v_operators[1] = ALL (v_operators) THEN
        RETURN format('(%s) %s (%s)', array_to_string(v_columns, ', '), v_operators[1],
            array_to_string(p_values, ', '));
    END IF;
    RETURN v_condition;
END
$function$;
