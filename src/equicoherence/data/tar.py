"""Reading tar files without trusting them to be whole."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator


def whole_members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a tar file in order, and at its end make sure that it was the end.

    ``tarfile`` takes a damaged header, or a file that was cut between two members, for the end of the archive.

    Raises:
        tarfile.ReadError: the archive is cut off or a header in it is damaged.
        gzip.BadGzipFile: the checksum of a compressed archive is wrong.
    """
    yield from tar
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    block = tar.fileobj.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError(f"it is cut off after {tar.offset} bytes")
    if any(block):
        raise tarfile.ReadError(f"the header at byte {tar.offset} is damaged")
    while tar.fileobj.read(2**20):  # a compressed file holds its checksum at the very end
        pass
