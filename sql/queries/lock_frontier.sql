-- One worker at a time cuts or clears the shards of a pass; held to the end of the transaction.
INSERT INTO rowvec.frontier (embedding_id) VALUES (%(id)s)
ON CONFLICT (embedding_id) DO UPDATE SET embedding_id = excluded.embedding_id;
