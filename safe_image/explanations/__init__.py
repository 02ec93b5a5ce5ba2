"""Explanations of error texts: the knowledge base of causes, and how a text is matched against it."""
