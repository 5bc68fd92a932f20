"""`equicoherence weights [NAME]`: list the weights of a release, or fetch and verify one."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from equicoherence.commands.arguments import PathOrNone, parse
from equicoherence.loading import preparing
from equicoherence.notice import say
from equicoherence.releases.fetching import fetch
from equicoherence.releases.listing import description
from equicoherence.releases.manifest import find_weights
from equicoherence.releases.place import read_release

NO_PLACE = "no weights are published yet: name the folder or address of a release with --from"


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """List the weights of a release, or fetch one of them. Sizes and checksums are those of the release's
        manifest.json: weights that differ are not kept.

        Args:
            name: Weights to fetch; without it, all are listed.
            place: The release: a folder, or the http or https address of one.
            out: Folder to write; by default NAME. A folder that holds the same weights is left as it is.
        """

        name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]", help_behavior_hint="")] = None
        place: Annotated[str, tyro.conf.arg(name="from", metavar="FOLDER|URL")] = tyro.MISSING
        out: PathOrNone = None

    with preparing():
        if {argument.partition("=")[0] for argument in arguments if argument.startswith("-")} <= {"--out"}:
            raise ValueError(NO_PLACE)
        given = parse(Arguments, arguments, "weights")
        if given.name is None and given.out is not None:
            raise ValueError("--out needs the NAME of the weights to fetch")
        release = read_release(given.place)
        wanted = None if given.name is None else find_weights(release, given.name)
        out = given.out or Path(given.name or "")
        if wanted is not None and out.name in ("", ".."):
            raise ValueError(f"--out {out} names no new folder; give a name")
    if wanted is None:
        how = f"fetch one: equicoherence weights NAME --from {shlex.quote(given.place)}"
        print("\n".join([*map(description, release), how]) if release else f"{given.place} holds no weights")
        return
    say(f"{wanted.name}: {wanted.bytes / 1e6:,.1f} MB from {given.place}")
    fetched = fetch(wanted, given.place, out)
    told = "fetched, its checksums are right" if fetched else "is there already, its checksums are right"
    print(f"{out}: {told}; use it: equicoherence evaluate {shlex.quote(str(out))} --data DIR")
