"""What an error text means: the knowledge base of causes, and how a text is matched against it."""
