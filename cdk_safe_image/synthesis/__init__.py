"""A stage during the synth: its snapshot, and the functions that run when it is complete."""
