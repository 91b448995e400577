-- Called by every role: 1 for the same direction, 0 for unrelated, -1 for the opposite one.
CREATE OR REPLACE FUNCTION rowvec.cosine_similarity(
    a @extschema:vector@.vector, b @extschema:vector@.vector
)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN 1 - (a OPERATOR(@extschema:vector@.<=>) b);
