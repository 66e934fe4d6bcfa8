"""To come."""

LAYOUTS = []
