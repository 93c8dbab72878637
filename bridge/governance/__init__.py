"""Governance: transition requests, the gates that they have to pass, and the decisions on them. Pure."""
