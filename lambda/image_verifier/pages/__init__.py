"""HTML pages, without a template engine, since a Lambda has none: the frame, its style, findings, facts."""
