"""Which lane a request goes to. Lanes are opaque here; nothing knows sockets or dialects."""
