-- What `rowvec migrate` and a call of the worker need of pgvector, for a server that has none: a
-- vector is the text that it is written as. No index, no binary form.

CREATE TYPE vector;
CREATE FUNCTION vector_in(cstring) RETURNS vector LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION vector_out(vector) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE FUNCTION vector_typmod_in(cstring[]) RETURNS int
    LANGUAGE internal IMMUTABLE STRICT AS 'varchartypmodin';
CREATE FUNCTION vector_typmod_out(int) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT AS 'varchartypmodout';
CREATE TYPE vector (
    INPUT = vector_in, OUTPUT = vector_out, TYPMOD_IN = vector_typmod_in,
    TYPMOD_OUT = vector_typmod_out, STORAGE = external
);
CREATE DOMAIN halfvec AS text;
CREATE DOMAIN sparsevec AS text;

CREATE FUNCTION numbers(vector) RETURNS float8[] LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT translate(vector_out($1)::text, '[]', '{}')::float8[] $$;
CREATE FUNCTION vector_dims(vector) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT cardinality(numbers($1)) $$;
CREATE FUNCTION cosine_distance(vector, vector) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT 1 - sum(a * b) / sqrt(sum(a * a) * sum(b * b))
    FROM unnest(numbers($1), numbers($2)) AS pairs(a, b)
$$;
CREATE FUNCTION l2_distance(vector, vector) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT sqrt(sum((a - b) ^ 2)) FROM unnest(numbers($1), numbers($2)) AS pairs(a, b) $$;
CREATE FUNCTION vector_negative_inner_product(vector, vector) RETURNS float8
    LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT -sum(a * b) FROM unnest(numbers($1), numbers($2)) AS pairs(a, b) $$;
CREATE OPERATOR <=> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = cosine_distance);
CREATE OPERATOR <-> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = l2_distance);
CREATE OPERATOR <#> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_negative_inner_product);
