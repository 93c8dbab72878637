"""The ``http`` sink, its request options, and its OAuth 2.0 tokens."""
