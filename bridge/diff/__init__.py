"""Snapshots of the registry, and the comparison of two of them. Pure."""
