"""Events: ids, names, body formats and signatures. Pure."""
