"""Everything that somebody can have the bridge do, a module a subject; called by every door."""
