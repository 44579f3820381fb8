"""What scripts/long_run.py and scripts/ablation.py measure, and how they report it.

steadiness       colour, contrast, sharpness and size of each block, and their drift
rolling          long streams, one for each window policy
switching        how soon the picture follows a new prompt
ablation         the networks of CausVid's ablation: training and measuring
report           tables and figure of the long streams; ablation_report those of the ablation
figure           panels of curves, drawn with matplotlib: pip install ".[measure]"
parts            the Mini's parts, and the memory of this process

Needs torch and the pack's own requirements, but no ComfyUI; `causvid_core` must be importable.
"""
