"""The parts of scripts/bench.py. Each measuring part is a process of its own.

sizes          what is measured: the sizes of model, clip and window
counting       operations and bytes that a clip needs at the least
engine         the engine and the version without cache, and the rate of large matrix products
comfyui        ComfyUI's own autoregressive sampler and this pack's nodes, in ComfyUI
chain          a chain of this pack's nodes, and the ways to hand the cache on
child          one such process: arguments in, a result out, peak memory in between
table          the results as text
random_prompt  a custom node for those servers: a prompt without a text encoder
"""
