-- Called by _search and _similar_pairs: k and the options, checked; what was not given is left out.
--
-- The settings of pgvector's indexes are known whatever index there is, so that an application need
-- not know; those of another kind only where an index has them.
CREATE OR REPLACE FUNCTION rowvec._search_options(
    p_definition rowvec.embedding, p_k int, p_options jsonb
)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_numbers CONSTANT text[] := ARRAY[
        'candidates', 'ef_search', 'probes', 'rescore',
        coalesce(p_definition.setting_name, 'probes')];
    c_known CONSTANT text[] := c_numbers || ARRAY[
        'current', 'exact', 'method', 'rerank', 'text_config', 'weights'];
    v_options CONSTANT jsonb := jsonb_strip_nulls(p_options);
    v_unknown text;
    v_name text;
BEGIN
    IF p_k IS NULL OR p_k NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('k must be from 1 to 10000, not %s', coalesce(p_k::text, 'NULL'));
    ELSIF jsonb_typeof(p_options) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE =
            format('options must be a JSON object, not %s', jsonb_typeof(p_options));
    ELSIF v_options = '{}' THEN
        RETURN v_options;
    END IF;
    SELECT min(o) INTO v_unknown FROM jsonb_object_keys(v_options) AS o WHERE o <> ALL (c_known);
    IF v_unknown IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('unknown option "%s"', v_unknown),
            HINT = format('known: %s',
                (SELECT string_agg(DISTINCT o, ', ' ORDER BY o) FROM unnest(c_known) AS o));
    END IF;
    FOREACH v_name IN ARRAY c_numbers LOOP
        IF v_options ->> v_name !~ '^[1-9][0-9]{0,4}$' THEN
            RAISE EXCEPTION USING ERRCODE = '22023',
                MESSAGE = format('the option %s is a whole number from 1 to 99999', v_name);
        END IF;
    END LOOP;
    FOREACH v_name IN ARRAY ARRAY['current', 'exact'] LOOP
        IF coalesce(jsonb_typeof(v_options -> v_name), 'boolean') <> 'boolean' THEN
            RAISE EXCEPTION USING ERRCODE = '22023',
                MESSAGE = format('the option %s is true or false', v_name);
        END IF;
    END LOOP;
    IF v_options ->> 'method' NOT IN ('vector', 'text', 'hybrid') THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'method is vector, text or hybrid, not %s', quote_literal(v_options ->> 'method'));
    ELSIF v_options -> 'weights' IS NOT NULL AND NOT (
        jsonb_typeof(v_options -> 'weights') = 'object'
        AND (v_options -> 'weights') - ARRAY['vector', 'text'] = '{}'
        AND coalesce(v_options #>> '{weights,vector}', '1') ~ '^[0-9]{1,6}(\.[0-9]+)?$'
        AND coalesce(v_options #>> '{weights,text}', '1') ~ '^[0-9]{1,6}(\.[0-9]+)?$')
    THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'the option weights says how much each half counts, each a number from 0',
            HINT = '{"weights": {"vector": 1, "text": 0.5}}';
    END IF;
    RETURN v_options;
END
$function$;
