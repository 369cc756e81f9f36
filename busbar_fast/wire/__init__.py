"""Bytes and connections: an HTTP/1.1 server and client side that know nothing of what they carry."""
