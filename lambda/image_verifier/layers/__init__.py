"""The bytes of layers: decompression, tar archives, unpacking, and the file system that the layers make."""
