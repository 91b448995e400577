-- The next key range of the pass.
INSERT INTO rowvec.shard (embedding_id, number, lower, upper)
VALUES (%(id)s, %(number)s, %(lower)s, %(upper)s);
