"""Scores of networks on sets of pictures, and what goes into ``results.json``."""
