"""What the templates say about themselves, in Markdown."""

MINI_WORDS = """
The Mini's words: **circle, square, triangle, star, ring, cross** in **red, orange, yellow, green, blue, purple, pink, white**; small, large; moving left, right, up, down; turning, growing, pulsing, circling; slowly, quickly; over a black, navy, teal, maroon, grey or olive background that is plain, gradient, striped or dotted.
"""  # noqa: E501


def real_weights(download: str, more: str = "") -> str:
    """What to change for a published checkpoint. download: its name in the download node."""
    return f"""
**For real video** put these in the place of *Load CausVid Mini*: **Load CausVid Checkpoint** (MODEL), **Load CLIP** with type *wan* (CLIP) and **Load VAE** (VAE). **Download CausVid Checkpoint** fetches what they load: `{download}`, `umt5-fp8` and `wan-vae`. Set *width* and *height* to 832 and 480 wherever they are 64, and describe scenes in a few sentences. {more}
""".strip()  # noqa: E501


EXTEND = f"""
### A story in three shots

Each **Text to Video** goes on from the *stream* of the one before. The result is one video, the same as if one node had made it.

**Try**: change the *last* prompt and press Run. Only the last shot is made again; the first two are kept. Change the second, and the first is kept. Copy the last node and connect STREAM to it: a fourth shot.

*switch* says what a new prompt does to what the stream remembers. *recache*: the picture goes on and soon follows the new prompt. *carry*: it turns slowly. *cut*: a new scene.

*seed* counts in the first shot only: a stream keeps its own.

{real_weights("longlive")}
{MINI_WORDS}
"""  # noqa: E501

BRANCH = f"""
### One beginning, two endings

A stream is never used up. Both endings go on from the same STREAM, so their first frames are the same, to the bit, and the beginning is made once.

**Try**: change one ending and press Run; the beginning and the other ending are kept. Copy an ending with its save nodes for a third one. Set *switch* to *cut* in one of them for a new scene.

{real_weights("longlive")}
{MINI_WORDS}
"""  # noqa: E501

IMAGE = f"""
### From a picture to a video

So that it runs at once, the Mini paints the picture here. **With your own**: delete the frame *1 A picture*, add **Load Image** and connect it to *image*. Any size will do; *fit* says what is cut off.

The Mini takes the picture as a first block of 9 frames that stand still; then it moves. STILL_FRAMES says how many: **ImageFromBatch** could cut them off.

**Try**: change what happens in *2*, not what is seen; a prompt that contradicts the picture pulls the video away from it. *seed* gives other motion.

{real_weights("causal-forcing-framewise", "It makes one latent frame at a time and moves from the first frame on.")}
{MINI_WORDS}
"""  # noqa: E501

VIDEO = f"""
### Footage made over

Block by block the footage is mixed with noise and painted again under another prompt. What moves, and where, stays the footage's.

So that it runs at once, the Mini makes the footage. **With your own**: delete the frame *1 Footage*, add **Load Video** and connect it to *video*. It may be of any length, rate and size; it is read while it is needed.

**Try** *strength*: at 0.3 the footage hardly changes, at 0.9 little more than its place is left, 1 ignores it. *follow_motion* (advanced) holds on to what moves fast.

The second video shows both side by side; for your own, connect the frames of **Get Video Components** to *image1*, or delete it.

{real_weights("streamdiffusion-v2", "Its licence is non-commercial; `self-forcing` does it, too.")}
{MINI_WORDS}
"""  # noqa: E501

TRAVEL = f"""
### Prompts that change on the way

**Prompt Schedule**, a scene a line: `time ~fade [mode]: prompt`

- *time*: `2s`, `1:05`, `81f` (frames) or `12b` (blocks)
- *~fade*: how long the prompt before fades into it
- *[mode]*: `carry`, `recache`, `flush` or `cut`
- `0.7 * a circle | 0.3 * a ring` mixes prompts; `#` begins a comment

**Try**: move a time and press Run. Set `[cut]` on a line. The node under it says which blocks each scene comes to.

**Prompt Travel** does the same for prompts from other nodes. Connect its PROMPTS to *prompts* instead.

{real_weights("longlive", "It was trained with prompts that change.")}
{MINI_WORDS}
"""  # noqa: E501

RESUME = f"""
### Close the lid, go on tomorrow

**1** Press **Run**. *Today* makes a shot and saves its stream in `output/streams`.

**2** Press **R**, so that the file is listed. Click the title of the frame *Another day* with the right button and choose *Set Group Nodes to Always*. Pick the *file* (the newest is first) and press **Run**: the story goes on from the file, also after a restart or on another computer.

The result is the same as if you had never stopped, to the bit.

**Try**: another prompt for the second day. Save again at its end, and load that.

*contents*: *light* keeps latents and prompts, which is all that is needed. *exact* keeps the model's memory, too, and goes on at once; it is large.

{real_weights("longlive", "Today's model must be the one of another day.")}
{MINI_WORDS}
"""  # noqa: E501

ENDLESS = f"""
### As long as you like

The **recipe** looks at a *window* of 9 latent frames and counts positions within it, so time and memory of a block stay the same however long the video gets. *sink* frames from the beginning stay in the window and hold the look.

The **schedule** is told in minutes of the whole video: add scenes for as long as you like.

**Hours**: set *seconds* up to 3600. With *checkpoint_blocks* (advanced) at 20 the node writes down how far it came: if ComfyUI is closed, queue the same graph again and it goes on from there. At the end the stream is saved; open it with **Load CausVid Stream**, connect it to *stream*, and the next Run adds as much again; then choose the newest file.

Decoding holds all frames at once: an hour takes 3 GB at 64x64, 276 GB at 832x480. The template *render_to_a_file* writes every block to a file instead and holds none.

{real_weights("longlive", "Then delete the recipe node: the checkpoint brings its own, with a window and sinks.")}
{MINI_WORDS}
"""  # noqa: E501

FOOTAGE = f"""
### Footage that goes on

The end of the footage is read into the model's window, as if it had made it, and the video goes on from there. OVERLAP says how many of the new frames the footage has already; **ImageFromBatch** leaves them out, **ImageBatch** joins the rest to the footage.

So that it runs at once, the Mini makes the footage. **With your own**: delete the frame *1 Footage*, add **Load Video**, connect it to *video*, and its frames, from **Get Video Components**, to *image1*. It must be of the size that the node makes.

**Stream Info** shows what the stream holds: the last frame of every block, prompts, seed and recipe.

**Try**: another prompt in *2*. *context_seconds* (advanced) says how much of the footage is read.

{real_weights("self-forcing")}
{MINI_WORDS}
"""  # noqa: E501

BATCH = f"""
### Many videos with one press

**Job List** reads a file, a video a line, and the nodes behind it run once for each. The whole list is checked before the first video is made.

**With your own**: put a file into ComfyUI's *input* folder, press **R**, and choose it. Text: a prompt a line. CSV: a first line with names, *prompt* and any of *seed*, *seconds* and *name*. JSONL: an object a line, with the same names. Here is the example:

`prompt,seed,seconds,name`
`a large yellow star turning over a teal plain background,2,2,yellow star`

*filename_pattern* names the files. If one video fails, ComfyUI stops the list; its help page says how to queue jobs apart.

{real_weights("self-forcing")}
{MINI_WORDS}
"""  # noqa: E501
