-- The statement that finds each row's nearest others by the index, and the settings that the index needs.
SELECT rowvec._pairs_statement(e, %(k)s, c, '{}', '(' || rowvec._qualified(e.filter) || ')', false, %(keys)s) AS statement,
       rowvec._search_settings(e, c, '{}') AS settings
FROM rowvec.embedding AS e
CROSS JOIN LATERAL rowvec._candidates(e, %(k)s, '{}') AS c
WHERE e.id = %(id)s;
