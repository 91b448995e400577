-- A load with --embed: declares the embedding of its table, unless one by this model is there.
SELECT rowvec.create_embedding(%(source)s::regclass, model => %(model)s, input => %(input)s)
WHERE NOT EXISTS (
    SELECT FROM rowvec.embedding AS e
    WHERE e.source = %(source)s::regclass AND e.model = %(model)s
);
