"""Safetensors in and out, stream files, shards, and tensors that lie on disk."""
