"""The only place that joins adapters: settings in, a running broker out."""

from orchestrator.bootstrap.broker import Broker
from orchestrator.bootstrap.inputs import default_scripts, read_inventory
from orchestrator.bootstrap.runtime import SystemClock, UuidFactory
from orchestrator.bootstrap.server import BrokerServer

__all__ = [
    "Broker",
    "BrokerServer",
    "SystemClock",
    "UuidFactory",
    "default_scripts",
    "read_inventory",
]
