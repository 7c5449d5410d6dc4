"""``python -m bench [NAME…]``: measure, and print the tables."""

from __future__ import annotations

import argparse
import sys

from bench import dying, endurance, fleet, kept, poll, round_trip, script_call
from bench.process import prepare

MEASUREMENTS = {
    "round-trip": round_trip,
    "script-call": script_call,
    "poll": poll,
    "kept": kept,
    "fleet": fleet,
    "dying": dying,
    "endurance": endurance,
}


def main(arguments: list[str] | None = None) -> int:
    """Run what is named, or everything; exit code 1 where a number is missed."""
    prepare()
    options = _parse(arguments)
    reached = True
    for name in options.names or MEASUREMENTS:
        for report in MEASUREMENTS[name].run(options):
            sys.stdout.write(f"{report}\n\n")
            sys.stdout.flush()
            reached = reached and all(goal.reached for goal in report.goals)
    return 0 if reached else 1


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds (%(default)s)")
    parser.add_argument("--calls", type=int, default=100, help="calls in a round (%(default)s)")
    parser.add_argument("--ansible-rounds", type=int, default=3, help="Ansible's (%(default)s)")
    parser.add_argument("--servers", type=int, default=1000, help="size of the fleet (%(default)s)")
    parser.add_argument(
        "--endurance-calls", type=int, default=100_000, help="of endurance (%(default)s)"
    )
    parser.add_argument(
        "--interval", type=int, default=10, help="of the polls of fleet and dying (%(default)s)"
    )
    parser.add_argument(
        "--intervals", type=int, default=6, help="how many fleet looks at (%(default)s)"
    )
    parser.add_argument(
        "--deaths", type=int, default=15, help="of each kind in dying (%(default)s)"
    )
    parser.add_argument("--faults", type=int, default=10_000, help="of endurance (%(default)s)")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in MEASUREMENTS:
            parser.error(f"there is no measurement {name!r}: choose from {', '.join(MEASUREMENTS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
