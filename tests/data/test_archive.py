import io
import multiprocessing
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from equicoherence.data import cache_folder, unpack_archive

from .pictures import noise


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUICOHERENCE_CACHE", str(tmp_path / "cache"))


def make_archive(path: Path, members: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "X.TGZ", "x.zip"])
def test_an_archive_is_unpacked_once_and_found_again(tmp_path, name):
    members = {"a/1.png": noise(1), "b/2.png": noise(2)}
    path = make_archive(tmp_path / name, members)
    folder = unpack_archive(path)
    assert files(folder) == members
    assert folder.is_relative_to(cache_folder())
    made = folder.stat().st_mtime_ns
    assert unpack_archive(path) == folder
    assert folder.stat().st_mtime_ns == made
    assert len(list((cache_folder() / "archives").iterdir())) == 1


def test_an_archive_whose_unpacked_files_were_cleaned_away_is_unpacked_again(tmp_path):
    path = make_archive(tmp_path / "x.zip", {"a/1.png": noise(1), "b/2.png": noise(2)})
    folder = unpack_archive(path)
    shutil.rmtree(folder)
    folder.mkdir()
    assert len(files(unpack_archive(path))) == 2
    shutil.rmtree(folder)
    folder.touch()
    assert len(files(unpack_archive(path))) == 2


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip"])
def test_a_single_top_folder_is_entered_and_resource_forks_are_left_out(tmp_path, name):
    path = make_archive(tmp_path / name, {"photos/a/1.png": noise(1), "__MACOSX/photos/a/._1.png": b"fork"})
    assert files(unpack_archive(path)) == {"a/1.png": noise(1)}


def test_archives_of_the_same_name_size_and_time_in_two_folders_are_two(tmp_path):
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        members = {"a/1.png": noise(number), "b/1.png": noise(number)}
        os.utime(make_archive(tmp_path / str(number) / "x.tar", members), (1, 1))
    found = [files(unpack_archive(tmp_path / str(number) / "x.tar"))["a/1.png"] for number in (1, 2)]
    assert found == [noise(1), noise(2)]


def test_a_changed_archive_is_unpacked_anew(tmp_path):
    path = make_archive(tmp_path / "x.zip", {"a/1.png": noise(1), "b/1.png": noise(1)})
    first = unpack_archive(path)
    make_archive(path, {"a/2.png": noise(2), "b/2.png": noise(2), "c/2.png": noise(2)})
    assert unpack_archive(path) != first
    assert len(files(unpack_archive(path))) == 3


def _unpack_at_the_same_time(path: str, barrier, results) -> None:
    barrier.wait()
    results.put(str(unpack_archive(Path(path))))


def test_two_processes_at_once_end_with_one_whole_folder(tmp_path):
    members = {f"class{k % 3}/{k}.png": noise(k) for k in range(60)}
    path = make_archive(tmp_path / "x.tar.gz", members)
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    workers = [context.Process(target=_unpack_at_the_same_time, args=(str(path), barrier, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    folders = {results.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(folders) == 1
    assert files(Path(folders.pop())) == members
    assert len(os.listdir(cache_folder() / "archives")) == 1


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip"])
@pytest.mark.parametrize("member", ["../evil.png", "a/../../evil.png"])
def test_a_member_that_would_land_outside_is_refused_and_nothing_stays(tmp_path, name, member):
    path = make_archive(tmp_path / name, {"good.png": noise(0), member: b"evil"})
    with pytest.raises(ValueError, match=r"refused, a member is not safe to unpack: .*evil\.png"):
        unpack_archive(path)
    assert list((cache_folder() / "archives").iterdir()) == []
    assert list(tmp_path.rglob("evil.png")) == []


def test_links_that_lead_outside_are_refused(tmp_path):
    info = tarfile.TarInfo("link")
    info.type, info.linkname = tarfile.SYMTYPE, "../../outside"
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.addfile(info)
    member = zipfile.ZipInfo("link")
    member.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(member, "/etc")
    for name in ("x.tar", "x.zip"):
        with pytest.raises(ValueError, match="refused, a member is not safe to unpack"):
            unpack_archive(tmp_path / name)


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_archive_is_named_and_nothing_stays(tmp_path, name, share):
    path = make_archive(tmp_path / name, {f"{k}.png": noise(k, 60) for k in range(4)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ValueError, match=rf"{name}' is damaged or not an archive"):
        unpack_archive(path)
    assert list((cache_folder() / "archives").iterdir()) == []


def test_a_wrong_checksum_is_noticed(tmp_path):
    path = make_archive(tmp_path / "x.tar.gz", {"a.png": noise(0)})
    data = bytearray(path.read_bytes())
    data[-6] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        unpack_archive(path)


def test_what_is_no_archive_is_refused_by_its_name(tmp_path):
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    with pytest.raises(ValueError, match=r"x\.rar' is not an archive: its name must end in \.tar"):
        unpack_archive(tmp_path / "x.rar")
    with pytest.raises(FileNotFoundError, match=r"no archive at '.*nowhere\.zip'"):
        unpack_archive(tmp_path / "nowhere.zip")


def test_the_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("EQUICOHERENCE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "equicoherence"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "equicoherence"
    assert cache_folder().is_dir()


def test_a_cache_folder_that_cannot_be_made_says_what_to_set(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EQUICOHERENCE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OSError, match="set the environment variable EQUICOHERENCE_CACHE"):
        cache_folder()
