-- Called by every role: the place of a vector between two poles, -1 at the first and 1 at the second.
--
-- The difference of its cosines to both, over what that is at the poles themselves; 0 is as near to
-- one as to the other. NULL where the poles are the same direction.
CREATE OR REPLACE FUNCTION rowvec.polarity(
    vector @extschema:vector@.vector,
    negative @extschema:vector@.vector,
    positive @extschema:vector@.vector
)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ((vector OPERATOR(@extschema:vector@.<=>) negative)
    - (vector OPERATOR(@extschema:vector@.<=>) positive))
    / nullif(negative OPERATOR(@extschema:vector@.<=>) positive, 0);
