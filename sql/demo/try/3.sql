-- Printed by `rowvec demo` for a person to try: plain SQL; the subquery embeds the text once.
SELECT name, signature FROM python_api
ORDER BY embedding <=> (SELECT embed_query('python_api', 'compress a file')) LIMIT 5;
