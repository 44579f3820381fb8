"""A stream's ring that stays on the device from one node of an execution to the next.

At most one is kept, and only until the execution ends, whichever way it does.
"""

import asyncio

import comfy.model_management as management
from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context

from ....causvid_core.stream import LiveCache, StreamState

FREE_SHARE = 0.25  # of the device's memory that must stay free for other nodes


class _Kept:
    """The ring that stays, if one does."""

    cache: LiveCache | None = None


def keep(cache: LiveCache) -> bool:
    """Let `settle` spare the ring, if a node of this execution continues with it.

    False where nobody does, memory is short, or nothing would say when the execution ends.
    """
    if cache.ring is None or not _continued_here() or not _room(cache):
        return False
    try:
        execution = asyncio.current_task()
    except RuntimeError:  # called outside the host's event loop
        execution = None
    if execution is None:
        return False
    _Kept.cache = cache
    execution.add_done_callback(lambda _: _drop(cache))
    return True


def take(state: StreamState) -> None:
    """A stream starts or continues: frees a kept ring that it cannot use."""
    kept, _Kept.cache = _Kept.cache, None
    if kept is None:
        return
    if kept is not state.live or not kept.serves(
        kept.signature, state.block_ids, state.segment.policy
    ):
        kept.clear()


def settle(cache: LiveCache) -> None:
    """Give a ring back to the device unless it is kept."""
    if cache is not _Kept.cache:
        cache.clear()


def held_bytes(state: StreamState) -> int:
    """What the state's ring takes on the device."""
    ring = state.live.ring
    return 0 if ring is None else ring.tokens * ring.token_bytes


def _drop(cache: LiveCache) -> None:
    if cache is _Kept.cache:
        _Kept.cache = None
    if cache.ring is not None:
        cache.clear()
        management.soft_empty_cache()


def _continued_here() -> bool:
    """Whether a node of this execution continues the running node's STREAM.

    It may take it from a node between, which decodes or saves it.
    """
    running = get_executing_context()
    graph = get_progress_state().dynprompt
    if running is None or not graph.has_node(running.node_id):
        return False
    takers: dict[str, list[tuple[str, dict]]] = {}
    for node_id in graph.all_node_ids():
        node = graph.get_node(node_id)
        link = node["inputs"].get("stream")
        if node["class_type"].startswith("CausVid_") and isinstance(link, list):
            takers.setdefault(link[0], []).append((node_id, node["inputs"]))
    found = list(takers.get(running.node_id, ()))
    while found:
        node_id, inputs = found.pop()
        if "model" in inputs:  # a node that only looks at a stream needs none
            return True
        found += takers.pop(node_id, ())
    return False


def _room(cache: LiveCache) -> bool:
    device = cache.ring.device
    return management.get_free_memory(device) >= FREE_SHARE * management.get_total_memory(device)
