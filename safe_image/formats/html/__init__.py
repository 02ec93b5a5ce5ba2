"""The HTML page that reports share: its templates, its style, its views."""
