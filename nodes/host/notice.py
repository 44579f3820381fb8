"""Short texts for the artist, shown on the running node and written to the log.

They hold prompts, names of files and other things that a shared workflow brings along.
"""

import logging
import re
from unicodedata import category

from comfy_execution.utils import get_executing_context
from server import PromptServer

log = logging.getLogger("causvid")

MARKUP = re.compile(r"[&<>\"'`\[\]{}_]|:(?=//)|(?<=www)\.", re.IGNORECASE)
DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # controls, halves of pairs, separators of lines


def show(text: str, level: int = logging.INFO) -> None:
    """Show `text` on the node that runs now, for the client that queued it, and log it."""
    text = visible(text)
    log.log(level, "CausVid: %s", text)
    running, server = get_executing_context(), getattr(PromptServer, "instance", None)
    if running is not None and server is not None and server.client_id is not None:
        server.send_progress_text(_literal(text), running.node_id, server.client_id)


def visible(text: str) -> str:
    """The text with what would act without being seen written out, as \\u202e; lines stay."""
    return "".join(_written_out(character) for character in text)


def _literal(text: str) -> str:
    """HTML that shows this text.

    The editor sets a notice as HTML, before version 1.40 of its front end unchecked. Of the text it
    first makes links, of addresses and of [[label|address]], so what it knows these by is written
    as character references, too.
    """
    return MARKUP.sub(lambda found: f"&#{ord(found[0])};", text)


def _written_out(character: str) -> str:
    if character in "\n\t" or (category(character) not in UNSEEN and character not in DIRECTIONS):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
