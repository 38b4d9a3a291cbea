"""One file over HTTP, whole: what broke off goes on where it stopped, now or the next time."""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 30.0
_BLOCK_BYTES = 1 << 18
_MOST_BYTES = 1 << 31
_ATTEMPTS_WITHOUT_PROGRESS = 3
_PAUSE_SECONDS = 0.5
# No more digits than a file needs, and plain ones: `int` refuses thousands of them, and some that `isdigit` takes.
_LENGTH = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_RANGE_NOT_SATISFIABLE = 416


class DownloadFailed(Exception):
    """The file could not be fetched whole; what came of it is kept for the next time."""


def download(address: str, partial: Path, on_progress: Callable[[int, int | None], None]) -> None:
    """Brings the file at `address` to the path `partial`, synced to disk; a beginning that is there is kept.

    Nothing is checked here but the length the server states: the caller knows the digest.

    Raises:
        DownloadFailed: the server refuses, or the connection broke off several times without a byte in between.
    """
    if urlsplit(address).scheme not in {"http", "https"}:
        raise DownloadFailed("only http and https addresses can be fetched")
    failures = 0
    while True:
        before = _length(partial)
        try:
            _continue(address, partial, on_progress)
        except urllib.error.HTTPError as error:
            if error.code == _RANGE_NOT_SATISFIABLE and before:
                # The beginning is longer than the file: it belongs to something else.
                partial.unlink()
                continue
            raise DownloadFailed(f"the server answers {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            failures = 1 if _length(partial) > before else failures + 1
            if failures >= _ATTEMPTS_WITHOUT_PROGRESS:
                # urllib wraps what went wrong in words of its own.
                reason = getattr(error, "reason", None) or error
                raise DownloadFailed(str(reason) or type(error).__name__) from error
            time.sleep(_PAUSE_SECONDS * failures)
        else:
            return


def _continue(address: str, partial: Path, on_progress: Callable[[int, int | None], None]) -> None:
    have = _length(partial)
    headers = {"User-Agent": "dreamcrawl", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(address, headers=headers)  # noqa: S310  # the scheme was checked
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  # the scheme was checked
        start, total = _extent(answer, have)
        with partial.open("ab") as writer:
            writer.truncate(start)
            here = start
            on_progress(here, total)
            while block := answer.read(_BLOCK_BYTES):
                writer.write(block)
                here += len(block)
                if here > _MOST_BYTES:
                    raise DownloadFailed(f"it is larger than {_MOST_BYTES} bytes")
                on_progress(here, total)
            writer.flush()
            os.fsync(writer.fileno())
    if total is not None and here < total:
        raise ConnectionError(f"the connection broke off after {here} of {total} bytes")


def _extent(answer: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where the bytes of this answer begin in the file, and the length of the file if the server says it."""
    if answer.status == http.client.PARTIAL_CONTENT:
        match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != have:
            raise DownloadFailed("the server answers with another part of the file than was asked for")
        return have, None if match[2] == "*" else int(match[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if _LENGTH.fullmatch(length) else None


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
