-- Those of the words that the text search of an embedding's language leaves out.
SELECT w.word
FROM rowvec.embedding AS e
CROSS JOIN unnest(%(words)s::text[]) AS w (word)
WHERE e.id = %(id)s AND length(to_tsvector(rowvec._text_config(e, '{}'), w.word)) = 0;
