"""How the forward pass of a transformer is computed: torch, onnxruntime or OpenVINO.

`variant` says which there are, without importing any; the others need torch.
"""
