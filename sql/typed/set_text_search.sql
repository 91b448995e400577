-- Says what hybrid search reads of a row; gives the statement of its index, NULL where it stands.
SELECT rowvec.set_text_search(
    source => %(source)s::pg_catalog.regclass,
    config => %(config)s::pg_catalog.regconfig,
    weights => %(weights)s::pg_catalog.jsonb,
    embedding => %(embedding)s
);
