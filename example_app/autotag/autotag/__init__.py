"""Suggests tags for a text, a web page or an image."""
