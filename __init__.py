"""CausVid Stream for ComfyUI. Nothing of the host is imported until it asks for the nodes."""

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint():
    """The extension, as ComfyUI's loader expects it."""
    from .nodes import CausVidExtension

    return CausVidExtension()
