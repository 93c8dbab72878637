"""The GitHub sinks, and what they share: tokens, the API, what its refusals mean."""
