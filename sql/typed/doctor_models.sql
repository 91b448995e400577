-- Run by `rowvec doctor`: the models that embeddings name and the worker does not list, not as an alias either.
SELECT e.model,
       pg_catalog.string_agg(
           pg_catalog.concat(e.source::pg_catalog.text, '.', e.name), ', ' ORDER BY e.id) AS embeddings
FROM rowvec.embedding AS e
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.unnest(rowvec._ask('models')) AS answer (entry)
    WHERE entry::pg_catalog.jsonb OPERATOR(pg_catalog.->>) 'name' OPERATOR(pg_catalog.=) e.model
       OR entry::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'aliases' OPERATOR(pg_catalog.?) e.model
)
GROUP BY 1
ORDER BY 1;
