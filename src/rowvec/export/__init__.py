"""Keys, texts and vectors of an embedding into a file, streaming."""
