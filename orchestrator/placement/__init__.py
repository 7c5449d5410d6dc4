"""Filter, score, pick: which server a session goes to, and why.

Pure: it sees a snapshot and returns a decision. ``place`` runs a strategy;
``strategies`` holds one file for each.
"""

from orchestrator.placement.model import Filter, Occupant, Request, Scorer, ServerView, Strategy
from orchestrator.placement.place import place
from orchestrator.placement.registry import find_strategy, strategy_names

__all__ = [
    "Filter",
    "Occupant",
    "Request",
    "Scorer",
    "ServerView",
    "Strategy",
    "find_strategy",
    "place",
    "strategy_names",
]
