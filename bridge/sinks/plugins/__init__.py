"""Sinks from installed packages: how they are found, checked, and kept from harming other sinks."""
