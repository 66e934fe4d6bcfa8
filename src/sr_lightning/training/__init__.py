"""What a training run is made of: its folder, its steps, its callbacks, its resumption, and sweeps of runs."""
