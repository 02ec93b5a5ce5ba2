"""Reports of `check`, one module for each format."""
