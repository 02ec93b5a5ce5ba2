"""Constructs that verify images outside of a deploy."""
