"""Who ranks the members of a pool. Candidates are opaque, time is passed in; nothing here asks anybody anything."""
