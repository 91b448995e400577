-- Called by create_embedding, alter_embedding, migrate and the jobs: makes the functions of an embedding's jobs.
--
-- They belong to the owner of the source and run as that role, which nothing that they run can leave: its
-- triggers, policies, domains and functions have its own rights and no more. The schema keeps owners from
-- changing their functions: whoever may not look into it can name nothing in it. Where all are as they
-- have to be, which a job finds at its start, nothing is changed and no right is needed. Columns and keys that
-- were renamed or have another type are followed here as well.
CREATE OR REPLACE FUNCTION rowvec._prepare_jobs(p_embedding_id bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_here CONSTANT text := 'pg_catalog, pg_temp';
    v_chunks CONSTANT regclass := rowvec._derived(p_embedding_id, 'chunks');
    v_schema pg_namespace;
    v_source pg_class;
    v_owner text;
    v_path text;
    v_wanted record;
    v_old regprocedure;
    v_derived regclass;
    v_name text;
    v_renamed jsonb;
    v_has_other_key boolean;
    v_may_create boolean;
BEGIN
    SELECT * INTO STRICT v_schema FROM pg_namespace WHERE nspname = 'rowvec_jobs';
    SELECT c.* INTO STRICT v_source
    FROM rowvec.embedding AS e JOIN pg_class AS c ON c.oid = e.source
    WHERE e.id = p_embedding_id;
    v_owner := pg_get_userbyid(v_source.relowner);
    v_path := rowvec._path_of(v_source.relowner);
    IF has_schema_privilege(v_source.relowner, v_schema.oid, 'USAGE')
        AND NOT pg_has_role(v_source.relowner, v_schema.nspowner, 'USAGE')
    THEN
        RAISE EXCEPTION USING ERRCODE = '42501',
            MESSAGE = format('"%s", the owner of %s, may look into the schema rowvec_jobs, and so could change '
                'what jobs run', v_owner, v_source.oid::regclass),
            HINT = 'members of rowvec_job, pg_read_all_data and pg_write_all_data may: take that away, or give '
                'the table another owner';
    END IF;
    -- Jobs name tables to Postgres, which takes that.
    IF NOT has_schema_privilege('rowvec_job', v_source.relnamespace, 'USAGE') AND pg_has_role(
        (SELECT nspowner FROM pg_namespace WHERE oid = v_source.relnamespace), 'USAGE')
    THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %s TO rowvec_job', v_source.relnamespace::regnamespace);
    END IF;
    SELECT rowvec._renamed_columns(e), EXISTS (
            SELECT FROM rowvec.derived AS d
            CROSS JOIN LATERAL rowvec._key_of_derived(rowvec._derived(e.id, d.kind), e.source)
            WHERE d.embedding_id = e.id
        )
    INTO STRICT v_renamed, v_has_other_key
    FROM rowvec.embedding AS e
    WHERE e.id = p_embedding_id;
    IF v_renamed IS NULL AND NOT v_has_other_key AND NOT EXISTS (
        SELECT FROM rowvec._job_functions(p_embedding_id) AS f
        FULL JOIN (
            SELECT * FROM pg_proc
            WHERE pronamespace = v_schema.oid AND proname LIKE '%\_' || p_embedding_id
        ) AS p ON p.oid = to_regprocedure(
            format('rowvec_jobs.%s_%s(%s)', f.name, p_embedding_id, f.arguments))
        WHERE (p.prosrc, p.proowner, p.prosecdef, p.proconfig) IS DISTINCT FROM (
            f.body, v_source.relowner, true, ARRAY['search_path=' || v_path] || f.settings)
            -- A dump without rights makes them everybody's, and nobody else's.
            OR p.proacl IS NULL OR NOT has_function_privilege(v_schema.nspowner, p.oid, 'EXECUTE')
            OR f.name <> 'act' AND NOT has_function_privilege('rowvec_job', p.oid, 'EXECUTE')
    ) AND NOT EXISTS (
        SELECT FROM rowvec.derived AS d
        JOIN pg_class AS c ON c.oid = d.relation
        CROSS JOIN unnest('{SELECT,INSERT,DELETE}'::text[]) AS u(privilege)
        WHERE d.embedding_id = p_embedding_id AND c.relkind = 'r'
            AND NOT has_table_privilege(v_source.relowner, d.relation, u.privilege)
    ) THEN
        RETURN;
    END IF;

    IF NOT (pg_has_role(v_schema.nspowner, 'USAGE') AND pg_has_role(v_source.relowner,
        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END))
    THEN
        RAISE EXCEPTION USING ERRCODE = '42501',
            MESSAGE = format('the functions by which jobs reach %s are not as they have to be',
                v_source.oid::regclass),
            HINT = format('run `rowvec migrate` as "%s" or a superuser; the role needs to be a member of "%s"',
                pg_get_userbyid(v_schema.nspowner), v_owner);
    END IF;
    IF v_renamed IS NOT NULL THEN
        PERFORM rowvec._follow_columns(p_embedding_id, v_renamed);
    END IF;
    IF v_has_other_key THEN
        PERFORM rowvec._follow_key(p_embedding_id);
    END IF;
    -- One at a time: two that replace a function, or give rights on the schema, at once fail.
    LOCK TABLE rowvec.setting IN SHARE ROW EXCLUSIVE MODE;
    FOR v_old IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = v_schema.oid AND proname LIKE '%\_' || p_embedding_id
    LOOP
        EXECUTE format('DROP FUNCTION %s', v_old);
    END LOOP;
    v_may_create := has_schema_privilege(v_source.relowner, v_schema.oid, 'CREATE');
    IF NOT v_may_create THEN
        EXECUTE format('GRANT CREATE ON SCHEMA rowvec_jobs TO %I', v_owner);
    END IF;
    FOR v_wanted IN SELECT * FROM rowvec._job_functions(p_embedding_id) LOOP
        v_name := format('rowvec_jobs.%s_%s(%s)', v_wanted.name, p_embedding_id, v_wanted.arguments);
        EXECUTE format(
            'CREATE FUNCTION %s RETURNS %s LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = %s %s AS %L',
            v_name, v_wanted.result, c_here,
            (SELECT string_agg('SET ' || s, ' ' ORDER BY n)
                FROM unnest(v_wanted.settings) WITH ORDINALITY AS u(s, n)),
            v_wanted.body);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', v_name, pg_get_userbyid(v_schema.nspowner));
        IF v_wanted.name <> 'act' THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO rowvec_job', v_name);
        END IF;
        -- As it is, without a parser between: what stands in a path is the role's own to say.
        PERFORM pg_catalog.set_config('search_path', v_path, true);
        EXECUTE pg_catalog.format('ALTER FUNCTION %s SET search_path FROM CURRENT', v_name);
        PERFORM pg_catalog.set_config('search_path', c_here, true);
        EXECUTE pg_catalog.format('ALTER FUNCTION %s OWNER TO %I', v_name, v_owner);
    END LOOP;
    IF NOT v_may_create THEN
        EXECUTE pg_catalog.format('REVOKE CREATE ON SCHEMA rowvec_jobs FROM %I', v_owner);
    END IF;
    FOR v_derived IN
        SELECT d.relation
        FROM rowvec.derived AS d
        JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) d.relation
        WHERE d.embedding_id OPERATOR(pg_catalog.=) p_embedding_id AND c.relkind OPERATOR(pg_catalog.=) 'r'
    LOOP
        EXECUTE pg_catalog.format('GRANT SELECT, INSERT, DELETE ON %s TO %I', v_derived, v_owner);
    END LOOP;
END
$function$;
