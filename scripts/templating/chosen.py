"""Names on a command line, of things that a script makes."""

import argparse
from collections.abc import Iterable


def parse_names(
    parser: argparse.ArgumentParser, known: Iterable[str], kind: str
) -> argparse.Namespace:
    """The arguments, `names` among them; ends the program for one that is not known.

    kind: what is named, in a word. Adds the argument to the parser.
    """
    known = list(known)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(known):
        parser.error(f"there is no {kind} {', '.join(sorted(unknown))}")
    return arguments
