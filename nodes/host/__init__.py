"""Everything that touches ComfyUI: the only modules that import it."""
