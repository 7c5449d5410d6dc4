"""Use cases, one a file. They see ports only, never an adapter."""
