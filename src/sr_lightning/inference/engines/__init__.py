"""What computes a network: torch, its compiler, onnxruntime or OpenVINO; and export to their files."""
