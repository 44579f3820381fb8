"""CausVid Stream's engine: causal Wan models, sampled and distilled block by block.

Packages, each above what it imports (every `__init__` lists what others may use):

    cli, render   python -m causvid_core: videos from the command line
    farm          job lists
    mini          the embedded model: weights, vocabulary, the world it is trained on
    distill       the method: losses, rollouts with gradients, data, training
    media         streaming VAE, tiny decoders, video files in and out
    prompts       prompt schedules: text, layout over blocks, blending of embeddings
    stream        recipe, window policy, session, rollout, state
    model         the causal Wan transformer, its KV cache, checkpoints
    storage       safetensors, atomic writing, stream files, shards

Shapes:

    B  batch                  N  tokens of a call        latents      [B, C, T, H, W]
    C  latent channels, 16    L  tokens per latent frame tokens       [B, N, dim]
    T  latent frames          h  attention heads         q, k, v      [B, N, h, d]
    H  latent rows, px / 8    d  channels of a head      context      [B, l, text_dim]
    W  latent columns         l  rows of a prompt        px frames    [T, H, W, C] in 0..1

The life of one block in `rollout` (stream/rollout.py):

    1. `Session.block` asks the prompts which switch comes before the block, and begins a new
       segment unless it is "carry".
    2. The opening gives noise, or a noisy block of an input video, and the first step.
    3. The cache catches up: the block before has its clean pass, which writes its final keys and
       values; after a switch the kept blocks are rewritten; a state without a cache is replayed.
    4. Every step: patches become tokens; in each layer the block writes its keys and values into
       its slots of the ring and attends to the window; tokens become flow; x0 = x - sigma * flow;
       noise is added for the next step.
    5. `finish` appends the clean latents to the history on their way to the CPU.
    6. The block is yielded. Its `state` continues the stream from here, any number of times; its
       own clean pass waits until somebody does.
"""

from ._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BoundWan": "model.binding",
        "CausalWan": "model.transformer",
        "WanConfig": "model.config",
        "bind": "model.binding",
        "forward_all": "model.whole_clip",
        "load_model": "model.checkpoints",
        "Recipe": "stream.recipe",
        "recipes": "stream.presets",
        "presets": "stream.presets",
        "StepRecord": "stream.rollout",
        "StreamState": "stream.state",
        "start": "stream.rollout",
        "prime": "stream.rollout",
        "rollout": "stream.rollout",
        "save_stream": "storage.stream_files",
        "load_stream": "storage.stream_files",
        "stream_memory_bytes": "stream.lengths",
    },
)
