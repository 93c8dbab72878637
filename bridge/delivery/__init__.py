"""Deliveries as values: routes, entries, outcomes, the retry policy, and lanes. Pure."""
