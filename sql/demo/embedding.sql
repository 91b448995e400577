-- `rowvec demo`: name and docstring; the signature changes no answer and costs a third of the time.
SELECT rowvec.create_embedding(
    'python_api',
    model => 'sentence-transformers/all-MiniLM-L6-v2',
    input => $$name || E'\n' || coalesce(doc, '')$$
);
