"""Files that a scan for images ignores: counted by kind, with an example of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

UNREAD_PICTURES = frozenset(
    (
        ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".svg", ".psd", ".tga", ".exr", ".hdr", ".dng", ".cr2",
        ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raw", ".dcm",
    )
)  # fmt: skip
"""Endings of files that hold pictures which are not read, compared in lower case."""
ARCHIVES = (".tar", ".gz", ".tgz", ".zip", ".7z", ".rar", ".bz2", ".xz", ".zst")
SHOWN = 6  # kinds that are named one by one


class PassedOver:
    """Files that are no images of a source. A source has one; an empty one is never changed."""

    def __init__(self, rows: Iterable[tuple[str, int, str]] = ()) -> None:
        """rows: of each kind its name, how many there are, and the first of them."""
        self._counts = Counter({kind: count for kind, count, _ in rows})
        self._first = {kind: first for kind, _, first in rows}

    def __bool__(self) -> bool:
        return bool(self._counts)

    def note(self, kind: str, name: str) -> None:
        """Count one more file. kind: its ending, or another word."""
        if not self._counts[kind]:
            self._first[kind] = name
        self._counts[kind] += 1

    def rows(self) -> list[tuple[str, int, str]]:
        """Return of each kind its name, how many there are, and the first of them; pictures, then archives, first."""
        return [(kind, self._counts[kind], self._first[kind]) for kind in sorted(self._counts, key=self._rank)]

    def words(self) -> str:
        """Return it in words, "" if nothing was passed over."""
        rows = self.rows()
        shown = [f"{count} {kind} ({first!r}{', ...' if count > 1 else ''})" for kind, count, first in rows[:SHOWN]]
        if rest := sum(count for _, count, _ in rows[SHOWN:]):
            shown.append(f"{rest} others")
        hint = "; pictures of these kinds must be converted, to .jpg or .png" if self.pictures() else ""
        return ", ".join(shown) + hint

    def pictures(self) -> int:
        """Count the pictures of kinds that are not read."""
        return sum(count for kind, count in self._counts.items() if kind in UNREAD_PICTURES)

    def _rank(self, kind: str) -> tuple[int, int, str]:
        return 0 if kind in UNREAD_PICTURES else 1 if kind in ARCHIVES else 2, -self._counts[kind], kind
