"""How a command reads its arguments, starts under Hydra, and ends."""
