-- What `search` uses from now on.
UPDATE rowvec.embedding
SET index_name = %(index_name)s,
    index_kind = %(index_kind)s,
    index_lists = %(lists)s,
    probes = %(probes)s,
    recall = %(recall)s
WHERE id = %(id)s AND version = %(version)s;
