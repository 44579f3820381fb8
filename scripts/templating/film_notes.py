"""What the templates in `films` say about themselves, in Markdown."""

from .notes import MINI_WORDS, real_weights

RENDER = f"""
### Hours of video, straight to a file

**Render to Video** makes a block, decodes it and writes it to the file, then makes the next one. An hour takes no more memory than half a minute. Watch the frames in the node as they are made. The file is in `output/video` and plays at any time, even after **Cancel**.

**Try**: *minutes* at 10 or 60. *codec* at *prores* for video editing software. Add scenes to the schedule, timed from the start of the whole video: `1:30 ~2s: ...`

**If ComfyUI is closed** in the middle, queue the same graph again. The node saves its progress every *checkpoint_blocks* blocks and resumes from there.

**To continue another day**: open the stream that *To continue later* has saved with **Load CausVid Stream**. Connect it to *stream* and set *frames* to *new*: the next file follows this one without a seam.

**Footage**: connect **Load Video** to *video* and set *minutes* to 0 to restyle all of it, however long.

{real_weights("longlive", "Then delete the recipe node: the checkpoint has its own recipe, with a window and sinks.")}
{MINI_WORDS}
"""  # noqa: E501

CLIPS = f"""
### A story, clip by clip

Each shot continues the one before and is decoded on its own: **Stream Decode** with *frames* at *new* outputs only the new frames. It passes on the memory of its decoder, so the clips join without a seam in any video editor. The last shot is a *cut*: a new scene that shares no frame with the old one.

**Why not VAE Decode?** It starts from nothing: the first latent frame of every clip would give one frame instead of four, and the seam would show. It would also decode the whole story again for every shot.

**Try**: change the last prompt and press Run. Only the last shot is rendered and decoded.

*decoder_gb* (advanced) limits the decoder memory that a stream carries. A larger one is computed again, with the same result. A *tiny_decoder* (`taew2_1`) is many times faster.

{real_weights("longlive")}
{MINI_WORDS}
"""  # noqa: E501
