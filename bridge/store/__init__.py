"""The durable state: the known snapshot of the registry, the recorded events, and the outbox."""
