-- Says what hybrid search reads of a row; gives the statement of its index, NULL where it stands.
SELECT rowvec.set_text_search(
    source => %(source)s::regclass,
    config => %(config)s::regconfig,
    weights => %(weights)s::jsonb,
    embedding => %(embedding)s
);
