"""What computes vectors: the list of models that may be loaded, and how each is loaded and run."""
