"""Streams into video files: denoised, decoded and written block by block, in constant memory."""
