"""Sinks that installed packages bring: how they are found, checked, and held to what sinks promise."""
