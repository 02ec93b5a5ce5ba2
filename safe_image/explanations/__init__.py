"""What an error text means: the words by which it is recognised, and the causes that they can have."""
