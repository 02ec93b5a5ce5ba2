"""Reports of `audit`, one module for each format."""
