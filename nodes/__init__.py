"""The nodes an artist sees, one file each."""

from comfy_api.latest import ComfyExtension, io

from .download_checkpoint import DownloadCheckpoint
from .extend_video import ExtendVideo
from .host.live.route import register_route
from .host.loading.checkpoints import register_folder
from .image_to_video import ImageToVideo
from .job_list import JobList
from .load_checkpoint import LoadCheckpoint
from .load_mini import LoadMini
from .load_stream import LoadStream
from .prompt_schedule import PromptSchedule
from .prompt_travel import PromptTravel
from .recipe import RecipeNode
from .render_to_video import RenderToVideo
from .save_stream import SaveStream
from .stream_decode import StreamDecode
from .stream_info import StreamInfo
from .text_to_video import TextToVideo
from .video_to_video import VideoToVideo

NODES: list[type[io.ComfyNode]] = [
    LoadMini,
    LoadCheckpoint,
    DownloadCheckpoint,
    RecipeNode,
    PromptSchedule,
    PromptTravel,
    TextToVideo,
    ImageToVideo,
    VideoToVideo,
    ExtendVideo,
    RenderToVideo,
    StreamDecode,
    SaveStream,
    LoadStream,
    StreamInfo,
    JobList,
]


class CausVidExtension(ComfyExtension):
    """The pack's nodes; makes `models/causvid` and the live view's route known to the host."""

    def __init__(self) -> None:
        register_folder()
        register_route()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node of the pack."""
        return NODES
