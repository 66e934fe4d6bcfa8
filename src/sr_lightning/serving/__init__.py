"""The server of ``python -m sr_lightning.serve``."""
