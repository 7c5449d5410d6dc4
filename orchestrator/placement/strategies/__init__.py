"""One strategy a file; the registry finds them by their ``STRATEGY``."""
