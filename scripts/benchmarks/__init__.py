"""The parts of scripts/bench.py. Each measuring part is a process of its own.

sizes          what is measured: the sizes of model, clip and window
counting       the fewest operations and bytes that a clip needs
engine         the engine and the version without cache, and the rate of large matrix products
comfyui        ComfyUI's own autoregressive sampler and this pack's nodes, in ComfyUI
chain          a chain of this pack's nodes, and the ways to pass the cache on
child          one such process: arguments in, result out, and its peak memory
table          the results as text
random_prompt  a custom node for the measured servers: a prompt without a text encoder
"""
