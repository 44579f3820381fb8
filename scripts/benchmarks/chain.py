"""A clip from one node against a chain of three, for each way to pass the cache on.

handed_over: the chain is one execution, and the cache stays on the device. through_cpu and
recomputed: each node is an execution of its own. It finds a copy of the cache in CPU memory, or
only the latents.
"""

from hosting.graph import Prompt

from .sizes import FRAMES_PER_BLOCK, TIME_SCALE

SAMPLER = "sampler"  # id of the node that is timed, in the graph of one node
CHAIN = (SAMPLER, "second", "third")
WAYS = ("one_node", "handed_over", "through_cpu", "recomputed")
NO_LIMIT_GB = 1000.0


def chain_prompts(way: str, one_node: Prompt) -> list[Prompt]:
    """The prompts that make the clip of `one_node` in one of WAYS."""
    if way == "one_node":
        return [one_node]
    clip = one_node[SAMPLER]["inputs"]
    clip |= {
        "keep_cache": "exact" if way == "through_cpu" else "recompute",
        "cache_gb": NO_LIMIT_GB,
    }
    blocks = ((clip["px_frames"] - 1) // TIME_SCALE + 1) // FRAMES_PER_BLOCK
    px_per_block = FRAMES_PER_BLOCK * TIME_SCALE
    shares = [blocks // 3 + (turn < blocks % 3) for turn in range(3)]
    prompts, nodes = [], {}
    for turn, (name, share) in enumerate(zip(CHAIN, shares, strict=True)):
        inputs = clip | {"px_frames": share * px_per_block}
        if turn == 0:
            inputs["px_frames"] -= TIME_SCALE - 1
        else:
            inputs["stream"] = [CHAIN[turn - 1], 0]
        nodes[name] = one_node[SAMPLER] | {"inputs": inputs}
        save = one_node["save"] | {"inputs": one_node["save"]["inputs"] | {"samples": [name, 1]}}
        prompts.append(one_node | nodes | {"save": save})
    return prompts[-1:] if way == "handed_over" else prompts
