"""The command line: finds a command and runs it.

Exit status 0 done, 1 failed, 2 wrong use, 130 interrupted. Wrong use is what raises `Refused`: see `errors`. Nothing
heavy is imported here: a command imports what it needs when it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from equicoherence.keep_memory import keep_freed_memory
from equicoherence.loading import INTERRUPTED, loading

EXPECTED = (RuntimeError, OSError, ImportError)  # broken losses, full disks, what is not installed; and what data hold


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    try:
        status = _status(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except BrokenPipeError as problem:
        return 1 if _nobody_reads() else _failed(problem)
    return status


def _status(arguments: list[str]) -> int:
    try:
        return _run(arguments)
    except SystemExit as stop:  # argument errors and --help
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt as stop:  # `Interrupted` says what was saved
        _say(str(stop) or "interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as problem:
        return _failed(problem)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--version"]:
        from equicoherence import __version__

        print(f"equicoherence {__version__}")
        return 0
    with loading():
        from equicoherence.commands import find_command, usage

        if not arguments or arguments[0] in ("-h", "--help"):
            print(usage())
            return 0 if arguments else 2
        command = find_command(arguments[0])
    keep_freed_memory()
    command(arguments[1:])
    return 0


def _failed(problem: Exception) -> int:
    """Say what went wrong, a bug with the place where it was raised; return the exit status."""
    from equicoherence.errors import Refused

    if isinstance(problem, Refused):
        _say(f"error: {problem}")
        return 2
    from safetensors import SafetensorError  # what its files raise of a full disk

    from equicoherence.data.source import BadImage
    from equicoherence.files import Damaged

    if not isinstance(problem, (*EXPECTED, SafetensorError, BadImage, Damaged)):
        import traceback

        traceback.print_exception(problem)
    _say(f"failed: {problem}")
    return 1


def _say(text: str) -> None:
    from equicoherence.notice import say

    say(text)


def _nobody_reads() -> bool:
    """Return whether what reads the output is gone, as `head` soon is, and write no more to it.

    Windows cannot say, so there it counts as any other error.
    """
    import select

    gone = False
    if not hasattr(select, "poll"):
        return gone
    for stream in (sys.stdout, sys.stderr):
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            gone = True
    return gone
