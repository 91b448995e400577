-- `rowvec demo`: the functions and classes of Python's standard library.
CREATE TABLE IF NOT EXISTS python_api (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text,
    signature text,
    doc text
);
