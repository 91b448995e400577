-- Called by _canonical_expressions alone: what the one index of a table is on, as text, and its predicate.
CREATE OR REPLACE FUNCTION rowvec._index_expressions(
    p_table regclass, OUT input text, OUT filter text, OUT modality text
)
LANGUAGE plpgsql STABLE
-- With this path every function and type that is not Postgres's own is written with its schema.
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_type regtype;
    v_category text;
BEGIN
    SELECT coalesce(pg_get_expr(i.indexprs, i.indrelid), pg_get_indexdef(i.indexrelid, 1, false)),
        pg_get_expr(i.indpred, i.indrelid),
        a.atttypid, t.typcategory
    INTO STRICT input, filter, v_type, v_category
    FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indexrelid AND a.attnum = 1
    JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE i.indrelid = p_table;
    modality := CASE v_type WHEN 'bytea'::regtype THEN 'image'
        WHEN 'rowvec.image_path'::regtype THEN 'image_file' ELSE 'text' END;
    IF modality = 'image' THEN
        -- Hashed, read and sent as the worker takes images.
        input := format('pg_catalog.encode(%s, ''base64''::text)', input);
        RETURN;
    ELSIF v_category <> 'S' THEN
        RAISE EXCEPTION USING ERRCODE = '42804',
            MESSAGE = format('the input is of type %s, not text (nor bytea, for images)', v_type),
            HINT = format('cast it: (%s)::text', input);
    END IF;
    IF v_type <> 'text'::regtype THEN
        input := format('(%s)::text', input);
    END IF;
END
$function$;
