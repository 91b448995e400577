"""`rowvec ui`: one web application over the embeddings of a database, which it only reads."""
