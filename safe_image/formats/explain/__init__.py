"""Reports of `explain`, one module for each format."""
