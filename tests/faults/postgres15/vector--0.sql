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
    $$ SELECT translate(@extschema@.vector_out($1)::text, '[]', '{}')::float8[] $$;
CREATE FUNCTION vector_dims(vector) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT cardinality(@extschema@.numbers($1)) $$;
CREATE FUNCTION cosine_distance(vector, vector) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT 1 - sum(a * b) / sqrt(sum(a * a) * sum(b * b))
    FROM unnest(@extschema@.numbers($1), @extschema@.numbers($2)) AS pairs(a, b)
$$;
CREATE FUNCTION l2_distance(vector, vector) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT sqrt(sum((a - b) ^ 2)) FROM unnest(@extschema@.numbers($1), @extschema@.numbers($2)) AS pairs(a, b) $$;
CREATE FUNCTION vector_negative_inner_product(vector, vector) RETURNS float8
    LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT -sum(a * b) FROM unnest(@extschema@.numbers($1), @extschema@.numbers($2)) AS pairs(a, b) $$;
CREATE OPERATOR <=> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = cosine_distance);
CREATE OPERATOR <-> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = l2_distance);
CREATE OPERATOR <#> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_negative_inner_product);

CREATE FUNCTION vector(real[], int, boolean) RETURNS vector LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT @extschema@.vector_in(textout(translate($1::text, '{}', '[]'))) $$;
CREATE FUNCTION vector(float8[], int, boolean) RETURNS vector LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT @extschema@.vector_in(textout(translate($1::text, '{}', '[]'))) $$;
CREATE FUNCTION vector_to_float4(vector, int, boolean) RETURNS real[]
    LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT @extschema@.numbers($1)::real[] $$;
CREATE CAST (real[] AS vector) WITH FUNCTION vector(real[], int, boolean) AS ASSIGNMENT;
CREATE CAST (float8[] AS vector) WITH FUNCTION vector(float8[], int, boolean) AS ASSIGNMENT;
CREATE CAST (vector AS real[]) WITH FUNCTION vector_to_float4(vector, int, boolean);

CREATE FUNCTION vector_add(vector, vector) RETURNS vector LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT array_agg(a + b ORDER BY n)::real[]::@extschema@.vector
    FROM unnest(@extschema@.numbers($1), @extschema@.numbers($2)) WITH ORDINALITY AS pairs(a, b, n)
$$;
CREATE FUNCTION vector_mul(vector, vector) RETURNS vector LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT array_agg(a * b ORDER BY n)::real[]::@extschema@.vector
    FROM unnest(@extschema@.numbers($1), @extschema@.numbers($2)) WITH ORDINALITY AS pairs(a, b, n)
$$;
CREATE OPERATOR + (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_add);
CREATE OPERATOR * (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_mul);
