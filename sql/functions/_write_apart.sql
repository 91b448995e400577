-- Called by _backfill_write alone: writes rows, and finds those that the database refuses, which cost no other a thing.
--
-- p_function is that of rowvec_jobs to call, p_vectors NULL where it takes none. refusals are as
-- _record_refusal takes them; what others hold is left to the next pass.
CREATE OR REPLACE FUNCTION rowvec._write_apart(
    p_definition rowvec.embedding, p_function text, p_keys jsonb[], p_row_keys text[], p_hashes bigint[],
    p_vectors text[], OUT written bigint, OUT failed bigint
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_count CONSTANT int := cardinality(p_row_keys);
    v_half CONSTANT int := v_count / 2;
    v_columns CONSTANT int := (SELECT count(*) FROM rowvec._key_columns(p_definition.source));
    v_statement text;
    v_code text;
    v_constraint text;
    v_rest record;
BEGIN
    v_statement := format('SELECT rowvec_jobs.%s_%s(%s, $2%s)', p_function, p_definition.id,
        (SELECT string_agg(format('ARRAY(SELECT (u.k::text[])[%s] FROM unnest($1) WITH ORDINALITY AS u(k, n) '
            'ORDER BY u.n)', n), ', ' ORDER BY n)
            FROM generate_series(1, v_columns) AS n),
        CASE WHEN p_vectors IS NOT NULL THEN ', $3::@extschema:vector@.vector[]' END);
    failed := 0;
    BEGIN
        EXECUTE v_statement INTO STRICT written USING p_row_keys, p_hashes, p_vectors;
    EXCEPTION
        WHEN insufficient_resources OR operator_intervention OR system_error THEN
            RAISE;
        WHEN serialization_failure OR deadlock_detected OR lock_not_available THEN
            v_code := 'conflict';
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS v_code = RETURNED_SQLSTATE, v_constraint = CONSTRAINT_NAME;
    END;
    PERFORM rowvec._refuse_other_path();
    IF v_code IS NULL THEN
        RETURN;
    END IF;
    written := 0;
    IF v_count > 1 THEN
        SELECT w.* INTO STRICT written, failed
        FROM rowvec._write_apart(p_definition, p_function, p_keys[:v_half], p_row_keys[:v_half],
            p_hashes[:v_half], p_vectors[:v_half]) AS w;
        SELECT w.* INTO STRICT v_rest
        FROM rowvec._write_apart(p_definition, p_function, p_keys[v_half + 1:], p_row_keys[v_half + 1:],
            p_hashes[v_half + 1:], p_vectors[v_half + 1:]) AS w;
        written := written + v_rest.written;
        failed := failed + v_rest.failed;
    ELSIF v_code <> 'conflict' THEN
        -- What refuses to write no row as well is no row's fault, and ends the job.
        EXECUTE v_statement USING '{}'::text[], '{}'::bigint[],
            CASE WHEN p_vectors IS NOT NULL THEN '{}'::text[] END;
        PERFORM rowvec._refuse_other_path();
        PERFORM rowvec._record_refusal(p_definition.id, p_keys[1], p_hashes[1], v_code, v_constraint);
        failed := 1;
    END IF;
END
$function$;
