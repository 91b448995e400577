-- Called by create_embedding and the jobs that store what they derive: a table beside the source, for its rows.
--
-- It begins with the key of the source, with a foreign key that follows it, and continues with p_columns
-- (SQL, as between the parentheses of CREATE TABLE, of the caller's making: never a user's). Without
-- the key it is a table about all rows together.
CREATE OR REPLACE FUNCTION rowvec._create_derived(
    p_embedding_id bigint, p_kind text, p_columns text, p_has_key boolean DEFAULT true
)
RETURNS regclass
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $function$
DECLARE
    c_reference CONSTANT text :=
        'FOREIGN KEY (%1$s) REFERENCES %2$s (%1$s) ON UPDATE CASCADE ON DELETE CASCADE';
    v_relation regclass := rowvec._derived(p_embedding_id, p_kind);
    v_definition rowvec.embedding;
    v_schema name;
    v_name text;
    v_keys text;
    v_columns text;
BEGIN
    IF v_relation IS NOT NULL THEN
        RETURN v_relation;
    END IF;
    SELECT * INTO STRICT v_definition FROM rowvec.embedding WHERE id = p_embedding_id;
    SELECT n.nspname, concat_ws('_', c.relname,
        CASE WHEN p_kind = 'chunks' OR v_definition.name <> 'embedding' THEN v_definition.name END,
        CASE WHEN p_kind <> 'chunks' THEN p_kind END)
    INTO STRICT v_schema, v_name
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = v_definition.source;
    IF octet_length(v_name) > 63 THEN
        RAISE EXCEPTION USING ERRCODE = '42622',
            MESSAGE = format('the table "%s" would have a name of more than 63 bytes', v_name),
            HINT = 'give the source or the embedding a shorter name';
    ELSIF to_regclass(format('%I.%I', v_schema, v_name)) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P07',
            MESSAGE = format('there is a table %I.%I already, and it is not one that rowvec made',
                v_schema, v_name),
            HINT = 'rename it, or give the embedding another name';
    END IF;
    SELECT string_agg(format('%I', k.name), ', ' ORDER BY k.position),
        string_agg(format('%I %s NOT NULL', k.name, k.type), ', ' ORDER BY k.position)
    INTO STRICT v_keys, v_columns
    FROM ROWS FROM (rowvec._key_columns(v_definition.source))
        WITH ORDINALITY AS k(name, type, position);
    EXECUTE format('CREATE TABLE %I.%I (%s)', v_schema, v_name, CASE WHEN p_has_key THEN
        concat_ws(', ', v_columns, p_columns, format(c_reference, v_keys, v_definition.source))
        ELSE p_columns END);
    v_relation := format('%I.%I', v_schema, v_name)::regclass;
    -- Its number names something else in a copy that was dumped after the table was dropped.
    INSERT INTO rowvec.derived AS d (embedding_id, kind, relation, relation_name)
    VALUES (p_embedding_id, p_kind, v_relation, v_name)
    ON CONFLICT (embedding_id, kind) DO UPDATE
    SET relation = excluded.relation, relation_name = excluded.relation_name;
    -- As whom jobs fill it.
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON %s TO %I', v_relation, (
        SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = v_definition.source));
    RETURN v_relation;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION USING ERRCODE = '55P03',
        MESSAGE = format('%s is in use by a transaction that does not end: no table was made for it',
            v_definition.source),
        HINT = 'try again when it has ended';
END
$function$;
