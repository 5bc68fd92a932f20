"""Where a release lies: a folder, or the address of one on an http server. Its files are read in pieces."""

from __future__ import annotations

import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from equicoherence.releases.manifest import FILE, Weights, read_manifest

PATIENCE = 10.0  # seconds until a server has to answer, and between two pieces that it sends
PIECE = 2**20
LARGEST_MANIFEST = 4 * 2**20
SCHEMES = ("http", "https")
Reader = Callable[[int], bytes]


def read_release(place: str) -> tuple[Weights, ...]:
    """Return the weights that a release holds.

    place: a folder, or the http or https address of one.

    Raises FileNotFoundError where no manifest is there, ValueError for one that cannot be used and for another kind of
    address, ConnectionError where the server cannot be reached.
    """
    if not place.strip():
        raise ValueError(f"--from {place!r} names nothing; give the folder of a release, or its http address")
    content = bytearray()
    with opened(place, FILE) as read:
        while piece := read(PIECE):
            content += piece
            if len(content) > LARGEST_MANIFEST:
                raise ValueError(f"{FILE} of {place} is longer than {LARGEST_MANIFEST} bytes, so it is none of ours")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{FILE} of {place} cannot be used (it is no text); ask whoever published it") from error
    return read_manifest(text, place)


def opened(place: str, file: str) -> AbstractContextManager[Reader]:
    """Open a file of a release; give a function that reads at most so many bytes of it, none at its end.

    file: a name without folders. Errors are those of `read_release`.
    """
    return _from_server(place, file) if "://" in place else _from_folder(Path(place), file)


@contextlib.contextmanager
def _from_folder(folder: Path, file: str) -> Iterator[Reader]:
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; give the folder of a release, or its http address")
    if not (folder / file).is_file():
        raise _lacks(str(folder), file)
    with (folder / file).open("rb") as stream:
        yield stream.read


@contextlib.contextmanager
def _from_server(address: str, file: str) -> Iterator[Reader]:
    url = f"{_checked(address).rstrip('/')}/{file}"
    with _explained(url), _asked(url) as answer:
        yield answer.read


def _checked(address: str) -> str:
    """Return an address. Raises ValueError for one that names no folder of an http server."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        raise ValueError(
            f"--from {address!r} cannot be read as an address ({error}); give one as http://HOST/FOLDER, or a folder"
        ) from error
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError(f"--from {address!r} is no http or https address; give one, or a folder")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"--from takes the plain address of a folder, without user, ? or #; got host {parts.hostname}")
    return address


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to http addresses; never to another scheme, nor from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        allowed = ("https",) if urlsplit(req.full_url).scheme == "https" else SCHEMES
        if urlsplit(newurl).scheme not in allowed:
            raise urllib.error.HTTPError(newurl, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextlib.contextmanager
def _asked(url: str) -> Iterator[Any]:
    """Ask a server for a file, in a thread: the look-up of a name has no time limit of its own."""
    found: list[Any] = []
    abandoned = threading.Event()

    def ask() -> None:
        try:
            found.append(urllib.request.build_opener(_Redirects).open(url, timeout=PATIENCE))
        except Exception as error:
            found.append(error)
        if abandoned.is_set() and not isinstance(found[0], Exception):
            found[0].close()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    if not found:
        abandoned.set()
        raise TimeoutError(f"no answer within {PATIENCE:.0f} seconds")
    if isinstance(found[0], Exception):
        raise found[0]
    with found[0] as answer:
        yield answer


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn what a connection raises into one sentence."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (404, 410):
            raise _lacks(*url.rsplit("/", 1)) from error
        if error.code // 100 == 3:
            told = f"redirects to {error.url}" if error.url != url else "redirects"
            reason = "only http and https are followed, https to https alone, and no circle"
            raise ConnectionError(f"{url} {told}, which is refused: {reason}") from error
        raise ConnectionError(f"{url}: the server answers with status {error.code}; try again later") from error
    except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
        raise ConnectionError(f"{url} cannot be reached ({reason}); check the address and the connection") from error


def _lacks(place: str, file: str) -> FileNotFoundError:
    what = (
        "so no release of weights is there; check the folder or the address"
        if file == FILE
        else ("though its manifest names it; ask whoever published it")
    )
    return FileNotFoundError(f"{place} has no {file}, {what}")
