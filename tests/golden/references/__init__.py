"""Whose code computed the files in ``layouts``, and with which arguments: for ``make_layouts.py``."""
