"""What an image is: references, media types, documents and the model that they are decoded into."""
