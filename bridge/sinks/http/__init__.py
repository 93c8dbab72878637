"""The ``http`` sink, and what its requests are made of."""
