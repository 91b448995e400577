-- Called by every role: a direction between two vectors; share 0 is all a, 1 all b.
--
-- Both count by their direction alone, however long they are.
CREATE OR REPLACE FUNCTION rowvec.mix(
    a @extschema:vector@.vector, b @extschema:vector@.vector, share float8 DEFAULT 0.5
)
RETURNS @extschema:vector@.vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
-- A body in quotes: what it calls may be created after it.
AS $function$
    SELECT rowvec.scale(@extschema:vector@.l2_normalize(a), 1 - share)
        OPERATOR(@extschema:vector@.+) rowvec.scale(@extschema:vector@.l2_normalize(b), share)
$function$;
