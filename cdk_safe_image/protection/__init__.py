"""SafeImages: one line that protects every image in a scope."""
