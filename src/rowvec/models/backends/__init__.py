"""What computes the forward pass of a transformer: torch (here), onnxruntime, OpenVINO (compiled).

`variant` says which there are, without importing any; the others need torch.
"""
