"""`busbar-fast top`: lanes, rates, latency and spend of a running gateway, as its own pages tell them."""
