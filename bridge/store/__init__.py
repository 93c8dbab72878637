"""The durable state: what is known of the registry, what was observed, and the outbox."""
