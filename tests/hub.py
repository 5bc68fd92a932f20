"""A stand-in of the Hugging Face Hub: its HTTP API, as far as encoders are put there and fetched, in a thread."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

TOKEN = "hf_right"
OWNER = "someone"


class Hub(ThreadingHTTPServer):
    """The state of the Hub.

    repositories: OWNER/NAME -> a dictionary of its files by name, at each commit, the newest last.
    blobs: what was uploaded beside a commit, by its sha256.
    hidden: repositories that only the owner sees. asked: method and path of each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repositories: dict[str, list[dict[str, bytes]]] = {}
        self.blobs: dict[str, bytes] = {}
        self.hidden: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def files(self, name: str) -> dict[str, bytes]:
        return self.repositories[name][-1]

    def add(self, name: str, files: dict[str, bytes]) -> None:
        self.repositories.setdefault(name, []).append(files)


def commit_of(name: str, number: int) -> str:
    return hashlib.sha1(f"{name} {number}".encode()).hexdigest()


class Answer(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def _reply(self, status: int, body: object = b"", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    @property
    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _refused(self, name: str) -> bool:
        """Answer as the Hub does where a repository is not there, or not for whoever asks."""
        token = self.headers.get("Authorization")
        if token and not self._known:
            self._reply(401, b"", X_Error_Message="Invalid credentials in Authorization header")
        elif name not in self.server.repositories or (name in self.server.hidden and not self._known):
            self._reply(404 if self._known else 401, b"", X_Error_Code="RepoNotFound")
        else:
            return False
        return True

    def _answer(self) -> None:
        hub, path = self.server, unquote(urlsplit(self.path).path)
        hub.asked.append((self.command, path))
        body = self._read()
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(*found.groups())
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._reply(200, {"errors": [], "warnings": []})
        elif found := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            objects = json.loads(body)["objects"]
            actions = [{**each, "actions": {"upload": {"href": f"{hub.url}/lfs/{each['oid']}"}}} for each in objects]
            self._reply(200, {"transfer": "basic", "objects": actions})
        elif found := re.fullmatch(r"/lfs/(\w+)", path):
            assert hashlib.sha256(body).hexdigest() == found[1]
            hub.blobs[found[1]] = body
            self._reply(200)
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/.*)?", path):
            self._repository(found[1], found[2] or "", body)
        else:
            self._reply(500, {"error": f"{self.command} {path} is nothing that the stand-in knows"})

    do_GET = do_HEAD = do_POST = do_PUT = _answer

    def _create(self, asked: dict[str, str]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if not self._known:
            return self._reply(401, {"error": "Invalid username or password."})
        if asked["organization"] != OWNER:
            return self._reply(403, b"", X_Error_Message="You don't have the rights to create a model there")
        if name in self.server.repositories:
            said = {"error": "You already created this model repo", "url": f"{self.server.url}/{name}"}
            return self._reply(409, said)
        self.server.add(name, {".gitattributes": b"*.safetensors filter=lfs"})
        if asked.get("visibility") == "private" or asked.get("private"):
            self.server.hidden.add(name)
        return self._reply(200, {"url": f"{self.server.url}/{name}"})

    def _repository(self, name: str, what: str, body: bytes) -> None:
        if self._refused(name):
            return None
        commits = self.server.repositories[name]
        if what.startswith("/preupload/"):
            files = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for each in json.loads(body)["files"]
            ]
            self._reply(200, {"files": files})
        elif what.startswith("/commit/"):
            if not self._known:
                return self._reply(403, b"", X_Error_Message="Forbidden")
            files = dict(commits[-1])
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    files[value["path"]] = self.server.blobs[value["oid"]]
                elif line["key"] == "deletedFile":
                    del files[value["path"]]
            commits.append(files)
            oid = commit_of(name, len(commits))
            self._reply(200, {"commitUrl": f"{self.server.url}/{name}/commit/{oid}", "commitOid": oid})
        elif what.startswith("/tree/"):
            files = [
                {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for path, data in commits[-1].items()
            ]
            self._reply(200, files)
        else:
            siblings = [{"rfilename": path} for path in commits[-1]]
            about = {"id": name, "sha": commit_of(name, len(commits)), "private": name in self.server.hidden}
            self._reply(200, about | {"siblings": siblings})
        return None

    def _resolve(self, name: str, revision: str, file: str) -> None:
        if self._refused(name):
            return None
        commits = {commit_of(name, number): files for number, files in enumerate(self.server.repositories[name], 1)}
        commit = list(commits)[-1] if revision == "main" else revision
        if commit not in commits:
            return self._reply(404, b"", X_Error_Code="RevisionNotFound")
        if file not in commits[commit]:
            return self._reply(404, b"", X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
        data = commits[commit][file]
        etag = hashlib.sha256(data).hexdigest()
        return self._reply(200, data, ETag=f'"{etag}"', X_Repo_Commit=commit)


@contextmanager
def hub_at(folder: Path) -> Iterator[Hub]:
    """Let huggingface_hub speak to a stand-in, as HF_ENDPOINT, HF_HOME and HF_HUB_DISABLE_XET would from its start."""
    from huggingface_hub import constants

    from equicoherence.models.on_hub import hub_folder

    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", hub.url)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
        patch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
        patch.setenv("HF_TOKEN", TOKEN)
        hub_folder.cache_clear()
        yield hub
        hub_folder.cache_clear()
    hub.shutdown()
    hub.server_close()
