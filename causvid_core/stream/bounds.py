"""The values that a stream can have: one set of bounds for those who begin one and its files."""

from __future__ import annotations

import math
import operator
from typing import Any

LARGEST = 2**31 - 1
"""Of any count, length or setting."""
LARGEST_SEED = 10**20 - 1
"""Numbers of up to 20 digits, of either sign."""
MOST_TIMESTEPS = 10_000


def whole(name: str, value: Any, smallest: int, largest: int = LARGEST) -> int:
    """The value as an int. ValueError unless it is a whole number in these bounds."""
    try:
        number = operator.index(int(value) if isinstance(value, float) else value)
    except (OverflowError, TypeError, ValueError):
        number = None
    if number is None or isinstance(value, bool) or number != value or number < smallest:
        raise ValueError(
            f"{name} is {value!r:.80}; it must be a whole number of at least {smallest}"
        )
    if number > largest:
        raise ValueError(f"{name} is {value!r:.80}; it can be at most {largest:,}")
    return number


def real(name: str, value: Any) -> int | float:
    """The value as a number that JSON holds. ValueError unless it is finite and in the bounds."""
    try:
        number = value if type(value) in (int, float) else float(value)
        fits = math.isfinite(number) and abs(number) <= LARGEST
    except (OverflowError, TypeError, ValueError):
        fits = False
    if isinstance(value, (bool, str, bytes)) or not fits:
        raise ValueError(f"{name} is {value!r:.80}; it must be a finite number up to {LARGEST:,}")
    return number


def seed(value: Any) -> int:
    """The seed as an int. ValueError unless it is a whole number of up to 20 digits."""
    try:
        return whole("seed", value, -LARGEST_SEED, LARGEST_SEED)
    except ValueError:
        raise ValueError(
            f"the seed is {value!r:.80}; it must be a whole number of at most 20 digits"
        ) from None


def truth(name: str, value: Any) -> bool:
    """The value as a bool. ValueError unless it is true or false, or 1 or 0."""
    if type(value) not in (bool, int) or value not in (0, 1):
        raise ValueError(f"{name} is {value!r:.80}; it must be true or false")
    return bool(value)
