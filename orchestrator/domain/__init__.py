"""What the broker talks about: servers, games, sessions, launches, loads.

Frozen dataclasses without I/O. Everything else depends on this package and it
depends on nothing of ours.
"""
