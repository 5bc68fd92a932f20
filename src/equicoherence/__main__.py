"""``python -m equicoherence`` is the command, so that ``torchrun -m equicoherence ...`` works."""

import sys

from equicoherence.cli import main

if __name__ == "__main__":
    sys.exit(main())
