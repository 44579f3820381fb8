"""scripts/bench.py from end to end at toy size: what it writes, never how fast it is."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosting.environment import ROOT, Environment
from hosting.pins import NEWEST

ROWS = [
    "engine, float32",
    "engine, bfloat16",
    "engine, window, float32",
    "without cache, float32",
    "ComfyUI's own sampler, float32",
    "our nodes, float32",
    "chain of three nodes, float32",
    "chain, its cache through CPU memory",
    "chain, its cache recomputed",
]


@pytest.fixture(scope="module")
def measured(
    environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any]]:
    """What a toy run printed and what it wrote."""
    if not environment.has(NEWEST):
        pytest.skip(f"ComfyUI {NEWEST} is not set up; python scripts/test.py does that.")
    output = tmp_path_factory.mktemp("bench") / "bench.json"
    command = [sys.executable, str(ROOT / "scripts" / "bench.py"), "--quick", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--threads", "1", "--output", str(output)],
        env=os.environ | {"CAUSVID_HOME": str(environment.home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(Path(output).read_text("utf-8"))


def numbers(value: Any) -> Iterator[float]:
    """Every number within a result."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from numbers(part)
    elif isinstance(value, (int, float)):
        yield value


def test_every_row_is_there_with_numbers_in_it(measured: tuple[str, dict[str, Any]]) -> None:
    _, result = measured
    assert [row["name"] for row in result["rows"]] == ROWS
    for row in result["rows"]:
        assert row["seconds"] > 0 and row["peak_bytes"] != 0 and row["blocks"] >= 3, row
    assert all(math.isfinite(number) for number in numbers(result))
    assert set(result["products"]) == set(result["cost"]) == {"float32", "bfloat16"}
    assert result["machine"]["threads"] == 1
    assert len(result["ratios"]) == 8 and len(result["comfyui"]["ratios"]) == 1


def test_the_table_shows_every_row_and_ratio(measured: tuple[str, dict[str, Any]]) -> None:
    printed, result = measured
    names = [row["name"] for row in result["rows"]]
    for name in (*names, *result["ratios"]):
        assert name in printed
