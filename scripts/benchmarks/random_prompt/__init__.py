"""For scripts/bench.py only: a prompt of the right form without a text encoder."""

import torch

NODE_ID = "Benchmark_RandomPrompt"


class RandomPrompt:
    """CONDITIONING as Wan's text encoder gives it: some rows, then zeros up to `length`."""

    CATEGORY = "benchmark"
    FUNCTION = "make"
    RETURN_TYPES = ("CONDITIONING",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict]:
        sizes = {name: ("INT", {"max": 1 << 20}) for name in ("tokens", "length", "width")}
        return {"required": sizes}

    def make(self, tokens: int, length: int, width: int) -> tuple[list]:
        embedding = torch.zeros(1, length, width)
        generator = torch.Generator().manual_seed(2)
        embedding[:, :tokens] = torch.randn(1, tokens, width, generator=generator)
        return ([[embedding, {}]],)


NODE_CLASS_MAPPINGS = {NODE_ID: RandomPrompt}
