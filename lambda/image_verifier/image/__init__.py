"""The model of an image: references, media types, documents and the model that they are decoded into."""
