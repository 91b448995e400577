-- Called by every member of rowvec_user: the vector of an image (JPEG, PNG, WebP, GIF); NULL for NULL.
CREATE OR REPLACE FUNCTION rowvec.embed_image(model text, image bytea, kwargs jsonb DEFAULT '{}')
RETURNS @extschema:vector@.vector
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF image IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (rowvec._ask(
        'embed_image', model, ARRAY[pg_catalog.encode(image, 'base64')], kwargs))[1];
END
$function$;
