"""The wire dialects of the vendors: bytes in, bytes out, no sockets."""
