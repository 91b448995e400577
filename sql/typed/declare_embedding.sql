-- A load with --embed: declares the embedding of its table, unless one by this model is there.
SELECT rowvec.create_embedding(%(source)s::pg_catalog.regclass, model => %(model)s, input => %(input)s)
WHERE NOT EXISTS (
    SELECT FROM rowvec.embedding AS e
    WHERE e.source OPERATOR(pg_catalog.=) %(source)s::pg_catalog.regclass AND e.model OPERATOR(pg_catalog.=) %(model)s
);
