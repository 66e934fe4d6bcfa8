"""Large pictures from top to bottom in strips: exactly what the whole picture gives, and no pixel computed twice."""
