"""Reports of `diff`, one module for each format."""
