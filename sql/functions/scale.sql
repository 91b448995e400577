-- Called by every role: a vector times a number, which pgvector does not have.
CREATE OR REPLACE FUNCTION rowvec.scale(vector @extschema:vector@.vector, factor float8)
RETURNS @extschema:vector@.vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vector OPERATOR(@extschema:vector@.*) array_fill(
    factor::real, ARRAY[@extschema:vector@.vector_dims(vector)])::@extschema:vector@.vector;
