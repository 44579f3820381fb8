"""The causal Wan transformer: sizes, modules, positions, attention, KV cache, checkpoints."""
