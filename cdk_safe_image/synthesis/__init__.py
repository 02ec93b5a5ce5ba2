"""A stage as it is synthesized: its snapshot, and what runs when it is complete."""
