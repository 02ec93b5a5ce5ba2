"""What only the bytes of layers show: decompression, tar archives, the file system that they make."""
