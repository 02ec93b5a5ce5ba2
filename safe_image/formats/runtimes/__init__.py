"""The formats of the report of `runtimes`."""
