"""What is kept for pages that are reloaded: bounded, newest first, nobody else's."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).resolve().parents[2] / "nodes" / "host" / "live" / "store.py"


@pytest.fixture(scope="module")
def store() -> ModuleType:
    """The module by itself: it needs nothing of the host."""
    spec = importlib.util.spec_from_file_location("live_store_alone", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def shown(store: ModuleType, name: str, **changes: str) -> Any:
    place = {"lock": "c", "prompt_id": name, "node_id": name, "workflow_id": "w"}
    return store.Shown(**place | changes)


def pictures(store: ModuleType, first: int, count: int, size: int = 10) -> list[Any]:
    return [store.Picture(first + i, bytes(size)) for i in range(count)]


def px_frames(found: tuple[Any, list[Any]]) -> list[int]:
    return [picture.px_frame for picture in found[1]]


def test_the_oldest_streams_make_room(store: ModuleType) -> None:
    kept = store.LiveStore(streams=10, limit_bytes=100)
    old, new = shown(store, "old"), shown(store, "new")
    for stream in (old, new):
        kept.begin(stream)
        kept.add(stream, {"node_id": stream.node_id}, pictures(store, 0, 6))
    assert kept.after("c", "old", "old", -1, 1000) is None
    assert px_frames(kept.after("c", "new", "new", -1, 1000)) == [*range(6)]


def test_a_stream_too_large_alone_is_thinned_over_all_its_length(store: ModuleType) -> None:
    kept = store.LiveStore(limit_bytes=1000)
    stream = shown(store, "long")
    kept.begin(stream)
    for first in range(0, 1000, 5):
        kept.add(stream, {"next": first + 5}, pictures(store, first, 5))
        assert stream.bytes <= 1000
    left = [picture.px_frame for picture in stream.pictures]
    assert left == sorted(left) and left[-1] == 999 and left[0] < 50
    assert len(left) >= 25
    assert max(after - before for before, after in zip(left, left[1:], strict=False)) <= 32


def test_a_newer_run_of_a_node_takes_the_place_of_the_older(store: ModuleType) -> None:
    kept = store.LiveStore()
    older = shown(store, "p", node_id="3")
    newer = shown(store, "q", node_id="3")
    elsewhere = shown(store, "r", node_id="3", workflow_id="other")
    for stream in (older, elsewhere, newer):
        kept.begin(stream)
        kept.add(stream, {"prompt_id": stream.prompt_id}, pictures(store, 0, 1))
    kept.add(older, {"prompt_id": "p"}, pictures(store, 1, 1))  # it ends a little later
    assert [facts["prompt_id"] for facts in kept.of_page("c")] == ["r", "q"]
    assert kept.of_page("d") == []
    assert kept.after("d", "q", "3", -1, 100) is None


def test_pictures_come_in_portions_of_one_at_least(store: ModuleType) -> None:
    kept = store.LiveStore()
    stream = shown(store, "p")
    kept.begin(stream)
    kept.add(stream, {"block": 1}, pictures(store, 4, 5))
    assert px_frames(kept.after("c", "p", "p", -1, 25)) == [4, 5]
    assert px_frames(kept.after("c", "p", "p", 5, 1)) == [6]
    assert px_frames(kept.after("c", "p", "p", 8, 100)) == []
