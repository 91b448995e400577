-- Run by `rowvec doctor`: the models that embeddings name and the worker does not list, not as an alias either.
SELECT e.model, string_agg(e.source::text || '.' || e.name, ', ' ORDER BY e.id) AS embeddings
FROM rowvec.embedding AS e
WHERE NOT EXISTS (
    SELECT FROM unnest(rowvec._ask('models')) AS answer (entry)
    WHERE entry::jsonb ->> 'name' = e.model OR entry::jsonb -> 'aliases' ? e.model
)
GROUP BY 1
ORDER BY 1;
