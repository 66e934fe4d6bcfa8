"""The web page of ``python -m sr_lightning.demo``."""
