"""What scripts/long_run.py measures: long streams, prompt switches, and how both are shown.

Needs torch, the pack's own requirements and no ComfyUI; `causvid_core` must be importable.
"""
