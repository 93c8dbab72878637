"""Decisions about deliveries: routes, outbox entries, outcomes, the retry policy and lanes. Pure."""
