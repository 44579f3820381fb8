"""Who gets the frames of a run: the page that queued it.

A page asks for a secret once and queues with the secret's lock, its SHA-256, in `extra_data`. The
host lists `extra_data` to everybody, as it does the page's client id; but a lock does not tell its
secret, and only the secret opens it. The server remembers no pages: nobody can be there first, take
the place of one, or fill the memory with them.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

LOCK = "causvid_lock"
HEADER = "CausVid-Secret"
SECRET_BYTES = 32
SECRET_LENGTHS = range(32, 129)  # characters
DEFAULT_PORTS = (None, 80, 443)


def new_secret() -> str:
    """What nobody can guess."""
    return secrets.token_urlsafe(SECRET_BYTES)


def lock_of(secret: str) -> str:
    """What everybody may know of a secret: 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def lock_in(extra_data: Mapping[str, Any]) -> str | None:
    """The lock with which a prompt was queued; None for a prompt without one."""
    lock = extra_data.get(LOCK)
    return lock if isinstance(lock, str) and re.fullmatch("[0-9a-f]{64}", lock) else None


def is_from_own_page(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from a page of this server, or from no page at all.

    Browsers say it in Sec-Fetch-Site; where they do not, over plain HTTP, the page's Origin, if it
    is sent, is held against the Host that was asked.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("Origin")
    if origin is None:
        return True
    try:
        page, asked = urlsplit(origin), urlsplit("//" + headers.get("Host", ""))
        return bool(page.hostname) and _place(page) == _place(asked)
    except ValueError:
        return False


def _place(address: SplitResult) -> tuple[str | None, int | None]:
    port = address.port
    return address.hostname, None if port in DEFAULT_PORTS else port
