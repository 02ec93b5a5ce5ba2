"""The custom resource: its properties, its physical ID, its answers and what follows a refusal."""
