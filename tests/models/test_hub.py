"""The Hub that does not answer: said at once, and the cache is used."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from huggingface_hub import constants

from equicoherence.models.foreign import foreign_encoder
from equicoherence.models.hub import hub_answers, hub_or_cache


class Refusing(BaseHTTPRequestHandler):
    """Answers, though not with what was asked for."""

    def do_HEAD(self):
        self.send_error(404)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def silent():
    """Return the address of what takes a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_a_hub_that_answers_anything_is_there(monkeypatch):
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert hub_answers()
        server.shutdown()


def test_a_hub_that_says_nothing_is_waited_for_no_longer_than_told(monkeypatch, silent):
    monkeypatch.setattr(constants, "ENDPOINT", silent)
    begun = time.monotonic()
    assert not hub_answers(0.3)
    assert time.monotonic() - begun < 2


def test_uses_that_overlap_leave_the_process_as_it_was(monkeypatch):
    monkeypatch.setattr("equicoherence.models.hub.hub_answers", lambda: False)
    first, second = hub_or_cache(), hub_or_cache()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert constants.HF_HUB_OFFLINE, "the second is under way"
    second.__exit__(None, None, None)
    assert not constants.HF_HUB_OFFLINE


def test_without_the_hub_the_cache_is_used_and_what_is_not_there_is_said_in_a_sentence(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as held:
        closed = f"http://127.0.0.1:{held.getsockname()[1]}"  # nobody listens there from here on
    monkeypatch.setattr(constants, "ENDPOINT", closed)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with hub_or_cache():
        assert constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match=rf"of resnet10t cannot .* in the cache, and {closed} does not answer\); do"):
        foreign_encoder("resnet10t", None, pretrained=True, otherwise="do something else")
    assert time.monotonic() - begun < 10
