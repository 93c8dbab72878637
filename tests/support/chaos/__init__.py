"""A storm: the real daemon, killed again and again, between a real registry and receivers that misbehave.

`launcher` and `receiver` are programs of their own; `schedule` draws by a seed what they do;
`storm` carries it out; `judge` holds what the receivers wrote down against the state and the registry.
"""
