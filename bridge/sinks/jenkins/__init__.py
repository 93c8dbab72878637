"""The Jenkins sink."""
