"""The kinds of models that rowvec brings, a module or a folder each.

None imports torch to describe a model.
"""
