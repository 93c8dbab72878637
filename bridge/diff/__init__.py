"""The registry as values, and what changed between two looks at it. Pure."""
