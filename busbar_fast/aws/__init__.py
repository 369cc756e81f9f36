"""What we know about AWS: signatures and binary event streams; no LLMs and no sockets."""
