"""What the templates in `films` say about themselves, in Markdown."""

from .notes import MINI_WORDS, real_weights

RENDER = f"""
### Hours of video, straight into a file

**Render to Video** makes a block, decodes it and writes it, then the next one. An hour takes no more memory than half a minute. Watch the frames in the node while they are made; the file is in `output/video` and plays at any time, also after **Cancel**.

**Try**: *minutes* at 10 or 60. *codec* at *prores* for an editing program. Add scenes to the schedule, in minutes of the whole video: `1:30 ~2s: ...`

**If ComfyUI is closed** in the middle, queue the same graph again. Every *checkpoint_blocks* blocks the node writes down how far it came, and it goes on from there.

**To go on another day**: **Load CausVid Stream** opens what *To go on from later* has saved. Connect it to *stream*, set *frames* to *new*, and the next file joins this one without a seam.

**Footage**: connect **Load Video** to *video*, set *minutes* to 0, and all of it is made over, however long.

{real_weights("longlive", "Then delete the recipe node: the checkpoint brings its own, with a window and sinks.")}
{MINI_WORDS}
"""  # noqa: E501

CLIPS = f"""
### A story, clip by clip

Each shot goes on from the one before and is decoded for itself: **Stream Decode** with *frames* at *new* gives only the frames that are new. It passes on what its decoder remembers, so the clips join without a seam in any editing program. The last shot is a *cut*: a new scene, whose frames have nothing of the old one in them.

**Why not VAE Decode?** It starts afresh: the first frame of every clip would stand for one instead of four, and the joint would show. And it would decode the whole story again for every shot.

**Try**: change the last prompt and press Run. Only the last shot is made and decoded.

*decoder_gb* (advanced) says how much of the decoder's memory may travel; what is larger is computed again, with the same result. A *tiny_decoder* (`taew2_1`) is many times faster.

{real_weights("longlive")}
{MINI_WORDS}
"""  # noqa: E501
