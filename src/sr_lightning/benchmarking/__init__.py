"""What the command ``benchmark`` measures, one file for each kind, and how."""
