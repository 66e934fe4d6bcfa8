"""Plugins of Hydra, which looks for them in this package."""
