"""Apps of the shapes that other people's repositories have, each plain, protected and swapped, and compared."""
