"""Picture and array files: formats, metadata, damage, RAW, downloads."""
