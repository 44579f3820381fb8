"""What the templates say about themselves, in Markdown."""

MINI_WORDS = """
The Mini's words: **circle, square, triangle, star, ring, cross** in **red, orange, yellow, green, blue, purple, pink, white**; small, large; moving left, right, up, down; turning, growing, pulsing, circling; slowly, quickly; over a black, navy, teal, maroon, grey or olive background that is plain, gradient, striped or dotted.
"""  # noqa: E501


def real_weights(download: str, more: str = "") -> str:
    """What to change for a published checkpoint. download: its name in the download node."""
    return f"""
**For real video**, replace *Load CausVid Mini* with three nodes: **Load CausVid Checkpoint** (MODEL), **Load CLIP** with type *wan* (CLIP) and **Load VAE** (VAE). **Download CausVid Checkpoint** fetches their files: `{download}`, `umt5-fp8` and `wan-vae`. Set *width* to 832 and *height* to 480 wherever they are 64, and describe each scene in a few sentences. {more}
""".strip()  # noqa: E501


EXTEND = f"""
### A story in three shots

Each **Text to Video** continues the *stream* of the node before it. The result is one video, identical to what a single node would make.

**Try**: change the *last* prompt and press Run. Only the last shot is rendered again; the first two are reused. Change the second prompt, and only the first shot is reused. To add a fourth shot, copy the last node and its prompt, and connect STREAM to the copy.

*switch* decides how a new prompt treats what the stream remembers. *recache*: the picture continues and soon follows the new prompt. *carry*: it changes slowly. *cut*: a new scene.

*seed* matters in the first shot only; the stream keeps it from there.

{real_weights("longlive")}
{MINI_WORDS}
"""  # noqa: E501

BRANCH = f"""
### One beginning, two endings

You can continue a stream as often as you like. Both endings continue the same STREAM, so they share every frame of the beginning, to the bit, and the beginning is rendered once.

**Try**: change one ending and press Run; the beginning and the other ending are reused. For a third ending, copy one with its save nodes. To start a new scene in an ending, set its *switch* to *cut*.

{real_weights("longlive")}
{MINI_WORDS}
"""  # noqa: E501

IMAGE = f"""
### From a picture to a video

Here the Mini paints the picture, so that the template runs right away. **Your own picture**: delete the group *1 A picture*, add **Load Image** and connect it to *image*. Any size works; *fit* decides what is cropped.

The Mini holds the picture still for the 9 frames of the first block, then it moves. STILL_FRAMES gives their number; **ImageFromBatch** can cut them off.

**Try**: in *2*, change what happens, not what is seen. A prompt that contradicts the picture pulls the video away from it. Another *seed* gives another motion.

{real_weights("causal-forcing-framewise", "It makes one latent frame at a time and moves from the first frame.")}
{MINI_WORDS}
"""  # noqa: E501

VIDEO = f"""
### Restyle footage

Block by block, the node adds noise to the footage and paints it again under another prompt. Motion and layout stay those of the footage.

Here the Mini makes the footage, so that the template runs right away. **Your own footage**: delete the group *1 Footage*, add **Load Video** and connect it to *video*. Any length, frame rate and size works; the file is read as the frames are needed.

**Try** *strength*: 0.3 hardly changes the footage, 0.9 keeps little more than the layout, 1 ignores it. *follow_motion* (advanced) keeps more of the footage where it moves fast.

The second video shows both side by side. For your own footage, connect the frames of **Get Video Components** to *image1*, or delete the group.

{real_weights("streamdiffusion-v2", "Its licence is non-commercial; `self-forcing` works too.")}
{MINI_WORDS}
"""  # noqa: E501

TRAVEL = f"""
### Prompts that change during the video

**Prompt Schedule** takes one scene per line: `time ~fade [mode]: prompt`

- *time*: `2s`, `1:05`, `81f` (frames) or `12b` (blocks)
- *~fade*: how long the previous prompt fades into this one
- *[mode]*: `carry`, `recache`, `flush` or `cut`
- `0.7 * a circle | 0.3 * a ring` mixes prompts; `#` starts a comment

**Try**: change a time and press Run. Add `[cut]` to a line. The node below the schedule lists the blocks of each scene.

**Prompt Travel** does the same with prompts from other nodes. Connect its PROMPTS to *prompts* instead.

{real_weights("longlive", "It was trained with prompts that change.")}
{MINI_WORDS}
"""  # noqa: E501

RESUME = f"""
### Stop today, continue tomorrow

**1** Press **Run**. The group *Today* makes a shot and saves its stream in `output/streams`.

**2** Press **R** to refresh the list of files. Right-click the title of the group *Another day* and choose *Set Group Nodes to Always*. Pick the *file* (the newest is first) and press **Run**. The story continues from the file, even after a restart or on another computer.

The result is identical to a render without a break, to the bit.

**Try**: another prompt for the second day. Save the stream at its end too, and load that file next.

*contents*: *light* saves latents and prompts, which is all you need. *exact* also saves the model's cache: the next run starts at once, but the file is large.

{real_weights("longlive", "Use the same model on both days.")}
{MINI_WORDS}
"""  # noqa: E501

ENDLESS = f"""
### As long as you like

The **recipe** lets the model see a *window* of 9 latent frames and counts positions within it. A block therefore takes the same time and memory however long the video gets. *sink* frames from the beginning stay in the window and preserve the look.

The **schedule** counts time from the start of the whole video: add as many scenes as you like.

**Hours**: set *seconds* up to 3600. With *checkpoint_blocks* (advanced) at 20, the node saves its progress every 20 blocks: if ComfyUI is closed, queue the same graph again to resume. The stream is saved at the end. To add more, open it with **Load CausVid Stream**, connect that to *stream* and press Run; next time, choose the newest file.

Decoding holds all frames in memory: an hour takes 3 GB at 64x64 and 276 GB at 832x480. The template *render_to_a_file* writes each block to a file instead.

{real_weights("longlive", "Then delete the recipe node: the checkpoint has its own recipe, with a window and sinks.")}
{MINI_WORDS}
"""  # noqa: E501

FOOTAGE = f"""
### Continue your footage

The node reads the end of the footage into the model's window, as if the model had made it, and continues the video from there. OVERLAP is the number of frames that repeat the footage; **ImageFromBatch** drops them, and **ImageBatch** appends the rest to the footage.

Here the Mini makes the footage, so that the template runs right away. **Your own footage**: delete the group *1 Footage* and add **Load Video**. Connect it to *video*, and its frames, from **Get Video Components**, to *image1*. The footage must have the size that the node makes.

**Stream Info** shows the contents of the stream: the last frame of each block, prompts, seed and recipe.

**Try**: another prompt in *2*. *context_seconds* (advanced) sets how much of the footage the model sees.

{real_weights("self-forcing")}
{MINI_WORDS}
"""  # noqa: E501

BATCH = f"""
### Many videos with one click

**Job List** reads a file with one video per line, and the nodes after it run once for each. The whole list is checked before the first video is made.

**Your own list**: put a file into ComfyUI's *input* folder, press **R** and choose it. A text file has one prompt per line. A CSV file starts with a line of column names: *prompt*, and any of *seed*, *seconds* and *name*. A JSONL file has one object per line, with the same names. The example list is a CSV file:

`prompt,seed,seconds,name`
`a large yellow star turning over a teal plain background,2,2,yellow star`

*filename_pattern* names the files. If one video fails, ComfyUI stops the list; the node's help page explains how to queue each job separately.

{real_weights("self-forcing")}
{MINI_WORDS}
"""  # noqa: E501
