"""An http server in a thread, which sends files right, cut, lengthened or late, or sends elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """What the server has.

    files: path without the first slash -> content. cut: path -> bytes after which the connection is closed, though more
    are promised. endless: paths whose content is followed by zeros without end. moved: path -> where it redirects to.
    late: paths that stop after half of the content, until ``released``. asked: path of each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.cut: dict[str, int] = {}
        self.endless: set[str] = set()
        self.moved: dict[str, str] = {}
        self.late: set[str] = set()
        self.half_sent, self.released = threading.Event(), threading.Event()
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server, path = self.server, self.path.lstrip("/")
        server.asked.append(path)
        if path in server.moved:
            self.send_response(302)
            self.send_header("Location", server.moved[path])
            self.end_headers()
            return
        if path not in server.files:
            self.send_error(404)
            return
        content = server.files[path]
        self.send_response(200)
        if path not in server.endless:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            if path in server.late:
                self.wfile.write(content[: len(content) // 2])
                server.half_sent.set()
                server.released.wait(60)
                return
            self.wfile.write(content[: server.cut.get(path)])
            while path in server.endless:
                self.wfile.write(bytes(2**16))
        except ConnectionError:  # who asked has heard enough
            pass


@contextmanager
def serving() -> Iterator[Server]:
    """Serve files on a free port of this machine."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
