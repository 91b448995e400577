"""The kinds of models that rowvec brings, one class a module. None imports torch to describe."""
