-- Called by create_embedding and alter_embedding: how long the model's vectors are; an error where it will not do.
CREATE OR REPLACE FUNCTION rowvec._dimensions(p_model text, p_modality text, p_kwargs jsonb)
RETURNS int
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- The model itself is asked, with a word or a black pixel.
    SELECT @extschema:vector@.vector_dims(CASE
        WHEN p_modality <> 'text' THEN rowvec.embed_image(p_model, decode(
            'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mNgYGAAAAAEAAHI6uv5AAAAAElFTkSuQmCC',
            'base64'), p_kwargs)
        ELSE rowvec.embed(p_model, 'rowvec', p_kwargs) END)
$function$;
