"""For tests only: nodes that look at what the pack's nodes made, inside the running host."""

from . import decoding, engine, live, media

NODE_CLASS_MAPPINGS = engine.NODES | decoding.NODES | live.NODES | media.NODES
