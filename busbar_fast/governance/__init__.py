"""Who may ask for what, how often, and for how much money: opaque keys and numbers, no HTTP and no dialects."""
