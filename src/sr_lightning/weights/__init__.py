"""Weights on disk: checkpoints, safetensors, published files of other projects, the Hub, and those that are shipped."""
