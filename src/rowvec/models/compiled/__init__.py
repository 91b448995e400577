"""Compiled models: one graph from tokens to rows, served without the libraries that made it.

`compiling` needs torch and runs in a process of its own that ends; what it writes is an artifact,
a folder that `serving` reads with onnxruntime (or OpenVINO), tokenizers and numpy alone.
"""
