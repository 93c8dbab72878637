"""The GitHub sinks, and what they share: tokens, the API, and the meaning of its refusals."""
