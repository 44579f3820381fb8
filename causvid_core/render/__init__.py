"""`python -m causvid_core render`: streams straight into video files, in constant memory.

From the command line to the rollout goes one `RenderRequest`:

    command   the options
    request   what they ask for, and the names of files
    models    transformer, VAE and prompt embeddings
    plan      the stream to begin with, its prompts and its footage
    run       denoise, decode, write; stop softly

Only the command line imports this package.
"""
