"""A step of every loss on fixed numbers gives what was recorded."""

import json

import pytest

from .recorded import PATH, measure


def test_a_step_gives_the_recorded_values():
    recorded, found = json.loads(PATH.read_text("utf-8")), measure()
    assert found.keys() == recorded.keys()
    for name, values in recorded.items():
        assert found[name] == pytest.approx(values, rel=1e-3), name
