"""Prompt switches: what a stream keeps of its window when its prompt changes."""

from __future__ import annotations

CARRY = "carry"
SWITCHES = (CARRY, "recache", "flush", "cut")
"""carry: only what follows reads the new prompt. The others rebuild the window under the new
prompt: recache from every block it holds, flush from the sinks and the last block, cut from none.
"""


def checked_switch(mode: str) -> str:
    """The mode itself; ValueError when it is none of `SWITCHES`."""
    if mode not in SWITCHES:
        raise ValueError(f"the switch is {mode!r}; choose {', '.join(SWITCHES[:-1])} or cut")
    return mode
