-- Called by create_embedding alone: refuses a column with vectors of another model or input than declared.
CREATE OR REPLACE FUNCTION rowvec._check_adopted(p_definition rowvec.embedding)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_sample CONSTANT int := 32;
    v_rows bigint;
    v_differing bigint;
    v_worst record;
BEGIN
    SELECT count(*), count(*) FILTER (WHERE NOT rowvec._is_same(s.similarity))
    INTO STRICT v_rows, v_differing
    FROM rowvec._similarities(
        p_definition, coalesce(rowvec._qualified(p_definition.filter), 'true'), c_sample) AS s;
    IF v_differing > 0 THEN
        RAISE EXCEPTION USING ERRCODE = '22000',
            MESSAGE = format('column "%s" of %s holds other vectors than %s makes of this input: %s of %s'
                ' sampled rows differ', p_definition.name, p_definition.source, p_definition.model,
                v_differing, v_rows),
            HINT = 'name the model, the input and the prompt (kwargs) that made them, or give the '
                'embedding another name';
    END IF;
END
$function$;
