-- Shown and run by `rowvec demo`.
SELECT "row" ->> 'name' AS name, round(distance::numeric, 3) AS distance,
       split_part("row" ->> 'doc', E'\n', 1) AS doc
FROM rowvec.search('python_api', 'how similar are two strings', k => 5);
