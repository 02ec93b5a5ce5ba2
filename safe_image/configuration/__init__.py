"""The configuration file: `safe-image.toml`, or `[tool.safe-image]` of a pyproject.toml."""
