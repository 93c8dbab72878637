"""Events: identities, names, payload shapes and signatures. Pure."""
