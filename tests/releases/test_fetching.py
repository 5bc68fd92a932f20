"""Weights are fetched whole and verified, or not at all; what a server sends decides nothing else."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPMessage
from pathlib import Path

import pytest

from equicoherence.cli import main
from equicoherence.releases import place as place_module
from equicoherence.releases.manifest import Figure, ReleasedFile, Weights, manifest_values, read_manifest
from tests.releases.server import Server, serving

CONTENT = {"config.json": b'{"architecture": "resnet18"}', "model.safetensors": bytes(range(256)) * 12_000}


def weights_of(name: str) -> Weights:
    files = tuple(
        ReleasedFile(file, f"{name}.{file}", len(content), hashlib.sha256(content).hexdigest())
        for file, content in CONTENT.items()
    )
    figures = (
        Figure("knn", "knn top-1", "backbone", "20 train, 8 val", 0.5, "50.0 %"),
        Figure("knn", "knn top-1", "z_equi", "20 train, 8 val", 0.25, "25.0 %"),
    )
    trained = ("recipe-x", "pictures", 300, 7, "cc-by-4.0", "0.2.0", "2026-11-30")
    return Weights(name, "resnet18", 32, 622_720, *trained, figures, files)


def published(server: Server, *names: str) -> dict:
    """Put a release on a server; return the values of its manifest."""
    values = json.loads(json.dumps(manifest_values([weights_of(name) for name in names])))
    server.files |= {f"{name}.{file}": content for name in names for file, content in CONTENT.items()}
    server.files["manifest.json"] = json.dumps(values).encode()
    return values


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Return a server with the weights ``small`` and ``large``; the working folder is an empty one."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    with serving() as server:
        published(server, "small", "large")
        yield server


def failed(capsys: pytest.CaptureFixture[str], status: int, *arguments: str) -> str:
    """Return the one line in which a command ends with a status, and check that it left nothing."""
    before = sorted(Path.cwd().rglob("*"))
    assert main(["weights", *arguments]) == status
    assert sorted(Path.cwd().rglob("*")) == before
    return capsys.readouterr().err.splitlines()[-1]


def test_a_release_is_listed(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "--from", server.url + "/"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[:4] == [
        "small",
        "    resnet18, 32 px, 0.62 M parameters, 3.1 MB, licence cc-by-4.0",
        "    configuration 'recipe-x' on pictures, 300 steps, seed 7",
        "    knn top-1, backbone (20 train, 8 val) 50.0 %",
    ]
    assert "\nlarge\n" in shown
    assert server.asked == ["manifest.json"]


def test_weights_are_fetched_from_a_server_and_from_a_folder(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "small", "--from", server.url]) == 0
    assert "use it: equicoherence evaluate small --data DIR" in capsys.readouterr().out
    held = tmp_path / "held"
    held.mkdir()
    for name, content in server.files.items():
        (held / name).write_bytes(content)
    assert main(["weights", "large", "--from", str(held), "--out", "a folder"]) == 0
    assert "equicoherence evaluate 'a folder' --data DIR" in capsys.readouterr().out
    for out in ("small", "a folder"):
        assert {path.name: path.read_bytes() for path in (tmp_path / out).iterdir()} == CONTENT
    assert {path.name for path in tmp_path.iterdir()} == {"small", "a folder", "held"}
    assert not [name for name in server.asked if name.startswith("large")]


def test_weights_that_are_there_are_not_fetched_again_and_others_are_refused(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "small", "--from", server.url]) == 0
    server.asked.clear()
    (tmp_path / "small" / "notes.txt").write_text("of my own")
    assert main(["weights", "small", "--from", server.url]) == 0
    assert "is there already" in capsys.readouterr().out
    assert server.asked == ["manifest.json"]
    weights = tmp_path / "small" / "model.safetensors"
    changed = b"\xff" + CONTENT["model.safetensors"][1:]
    weights.write_bytes(changed)
    assert "its model.safetensors differs from small" in failed(capsys, 2, "small", "--from", server.url)
    assert weights.read_bytes() == changed
    weights.unlink()
    assert "its model.safetensors is missing" in failed(capsys, 2, "small", "--from", server.url)
    weights.write_bytes(CONTENT["model.safetensors"])
    (tmp_path / "small" / "heads.safetensors").write_bytes(b"of another")
    said = failed(capsys, 2, "small", "--from", server.url)
    assert "small exists, and has heads.safetensors, which small of this release has not; give another --out" in said
    (tmp_path / "file").write_text("of my own")
    assert "file is a file" in failed(capsys, 2, "small", "--from", server.url, "--out", "file")
    assert server.asked == ["manifest.json"] * 5


def test_a_link_is_refused_before_anything_is_fetched(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for goal in ("empty", "gone"):
        (tmp_path / f"to-{goal}").symlink_to(goal)
        assert f"to-{goal} is a link, " in failed(capsys, 2, "small", "--from", server.url, "--out", f"to-{goal}")
    assert server.asked == ["manifest.json"] * 2
    assert main(["weights", "small", "--from", server.url]) == 0
    (tmp_path / "to-small").symlink_to("small")
    assert main(["weights", "small", "--from", server.url, "--out", "to-small"]) == 0
    assert "to-small: is there already" in capsys.readouterr().out


def test_what_is_not_as_the_manifest_says_is_not_kept(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    file, right = "small.model.safetensors", CONTENT["model.safetensors"]
    server.files[file] = b"\xff" + right[1:]
    assert f"{file} has SHA-256 " in failed(capsys, 1, "small", "--from", server.url)
    server.files[file] = right[:-1]
    assert f"{file} ends after {len(right) - 1} of the {len(right)} bytes" in failed(
        capsys, 1, "small", "--from", server.url
    )
    server.files[file] = right + b"\0"
    assert f"{file} is longer than the {len(right)} bytes" in failed(capsys, 1, "small", "--from", server.url)
    server.files[file] = right
    server.endless.add(file)
    assert f"{file} is longer than the {len(right)} bytes" in failed(capsys, 1, "small", "--from", server.url)
    server.endless.clear()
    server.cut[file] = 1000
    assert file in failed(capsys, 1, "small", "--from", server.url)
    server.cut.clear()
    assert main(["weights", "small", "--from", server.url]) == 0


def test_an_interrupted_fetch_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.late.add("small.model.safetensors")
    command = [sys.executable, "-m", "equicoherence", "weights", "small", "--from", server.url]
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # which a shell's background jobs ignore
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    assert server.half_sent.wait(60)
    assert list(tmp_path.glob(".small.*.tmp/whole/config.json"))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "interrupted"
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_said_in_one_sentence(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "weights 'smal' is unknown; is it 'small'?" in failed(capsys, 2, "smal", "--from", server.url)
    assert "/else has no manifest.json" in failed(capsys, 2, "--from", f"{server.url}/else")
    assert f"{tmp_path} has no manifest.json" in failed(capsys, 2, "--from", str(tmp_path))
    assert "there is no folder gone" in failed(capsys, 2, "--from", "gone")
    assert "no http or https address" in failed(capsys, 2, "--from", "ftp://127.0.0.1/")
    (tmp_path / "manifest.json").write_bytes(server.files["manifest.json"])
    assert "--from '' names nothing; give the folder of a release" in failed(capsys, 2, "--from", "")
    for address, reason in (("http://[::1", "Invalid IPv6 URL"), ("http://127.0.0.1:x/", "Port could not be cast")):
        said = failed(capsys, 2, "--from", address)
        assert f"--from '{address}' cannot be read as an address ({reason}" in said
        assert "give one as http://HOST/FOLDER, or a folder" in said
    assert "--out needs the NAME" in failed(capsys, 2, "--from", server.url, "--out", "x")
    assert "--out . names no new folder" in failed(capsys, 2, "small", "--from", server.url, "--out", ".")
    del server.files["small.config.json"]
    assert "has no small.config.json, though its manifest names it" in failed(capsys, 1, "small", "--from", server.url)
    with serving() as other:
        gone = other.url
    assert f"{gone}/manifest.json cannot be reached (" in failed(capsys, 1, "--from", gone)


def test_a_server_that_does_not_answer_is_left(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(place_module, "PATIENCE", 1.0)
    server.late.add("small.model.safetensors")
    start = time.monotonic()
    assert "small.model.safetensors cannot be reached (" in failed(capsys, 1, "small", "--from", server.url)
    assert 0.9 < time.monotonic() - start < 8


def test_redirects_stay_with_http(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_bytes(server.files["manifest.json"])
    for goal in (f"file://{tmp_path}/manifest.json", "ftp://127.0.0.1/manifest.json", "/manifest.json"):
        server.moved["manifest.json"] = goal  # the last of them leads to itself
        assert "manifest.json redirects" in failed(capsys, 1, "--from", server.url)
    server.moved = {"old/manifest.json": f"{server.url}/manifest.json"}
    assert main(["weights", "--from", f"{server.url}/old"]) == 0


def test_no_redirect_leads_from_https_to_http() -> None:
    redirects = place_module._Redirects()
    for before, after, allowed in (("https", "http", False), ("https", "https", True), ("http", "https", True)):
        asked = urllib.request.Request(f"{before}://127.0.0.1/x"), io.BytesIO(), 302, "Found", HTTPMessage()
        if allowed:
            assert redirects.redirect_request(*asked, f"{after}://127.0.0.1/y") is not None
            continue
        with pytest.raises(urllib.error.HTTPError):
            redirects.redirect_request(*asked, f"{after}://127.0.0.1/y")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda values: values["weights"][0].update(name="../small"), "name of weights '../small' is refused"),
        (lambda values: values["weights"][0].update(name=".."), "name of weights '..' is refused"),
        (lambda values: files_of(values)[0].update(file="../secret"), "file '../secret' is refused"),
        (lambda values: files_of(values)[0].update(file="a/../../secret"), "file 'a/../../secret' is refused"),
        (lambda values: values["weights"][0].update(name="a/../../b"), "name of weights 'a/../../b' is refused"),
        (lambda values: files_of(values)[0].update(file="/etc/passwd"), "file '/etc/passwd' is refused"),
        (lambda values: files_of(values)[0].update(file="x?y"), "file 'x?y' is refused"),
        (lambda values: files_of(values)[0].update(name="../x"), "'../x' is no file of weights"),
        (lambda values: files_of(values)[0].update(name="pytorch_model.bin"), "is no file of weights"),
        (lambda values: files_of(values)[0].update(bytes=-1), "bytes is -1, which is below 0"),
        (lambda values: files_of(values)[0].update(bytes=True), "bytes is True, no number"),
        (lambda values: files_of(values)[0].update(bytes=10**400), "bytes is 10000000000000000000.., above 18446744"),
        (lambda values: values["weights"][0].update(parameters=10**400), "parameters is 10000000000000000000.., above"),
        (lambda values: values["weights"][0]["scores"][0].update(value=10**400), "value is 10000000000000000000.., ab"),
        (lambda values: files_of(values)[0].update(sha256="0" * 63), "is not 64 hexadecimal digits"),
        (lambda values: files_of(values).pop(), "weights need config.json and model.safetensors"),
        (lambda values: files_of(values).append(files_of(values)[0]), "a file is listed twice"),
        (lambda values: values["weights"][0].update(configuration="\x1b[2J"), "which is no plain text"),
        (lambda values: values["weights"][0].pop("seed"), "an entry has no 'seed'"),
        (lambda values: values["weights"].append(values["weights"][0]), "two weights have one name"),
        (lambda values: values.update(schema=2), "its schema is 2, this version reads 1"),
        (lambda values: values.update(weights={}), "it has no list 'weights'"),
        (lambda values: values["weights"].append("small"), "an entry is no mapping"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(
    server: Server, change, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = published(server, "small")
    change(values)
    server.files["manifest.json"] = json.dumps(values).encode()
    server.asked.clear()
    said = failed(capsys, 2, "small", "--from", server.url)
    assert f"manifest.json of {server.url} cannot be used (" in said
    assert sentence in said
    assert server.asked == ["manifest.json"]


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xfe", b"[]", b'{"schema": NaN}', b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(server: Server, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    server.files["manifest.json"] = content
    assert f"manifest.json of {server.url} cannot be used (" in failed(capsys, 2, "--from", server.url)


def test_a_manifest_without_end_is_left(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.endless.add("manifest.json")
    assert "is longer than 4194304 bytes" in failed(capsys, 2, "--from", server.url)


def files_of(values: dict) -> list[dict]:
    return values["weights"][0]["files"]


def test_what_is_written_is_what_is_read() -> None:
    held = (weights_of("small"), dataclasses.replace(weights_of("other"), scores=(), license=""))
    assert read_manifest(json.dumps(manifest_values(held)), "here") == held
