"""The status page: its values, its findings, and its HTML."""
