"""Large pictures in tiles that give the result of the whole picture."""
