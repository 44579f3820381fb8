"""Names of things to make, on the command line."""

import argparse
from collections.abc import Iterable


def parse_names(
    parser: argparse.ArgumentParser, known: Iterable[str], kind: str
) -> argparse.Namespace:
    """Parse the command line with a further argument, `names`; empty means all.

    kind: what the names stand for, in one word. Ends the program if a name is unknown.
    """
    known = list(known)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(known):
        parser.error(f"there is no {kind} {', '.join(sorted(unknown))}")
    return arguments
