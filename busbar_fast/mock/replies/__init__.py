"""How each dialect reads a request and writes answers, streams and errors: one module per dialect."""
