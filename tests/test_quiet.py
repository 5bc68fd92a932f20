"""How torch's threads wait is settled before torch is imported, by the user where he has a say."""

import os
import subprocess
import sys

import pytest

from equicoherence.quiet import CHOICES


def _policy(**chosen):
    environment = {name: value for name, value in os.environ.items() if name not in CHOICES}
    command = [sys.executable, "-c", "import equicoherence, os; print(os.environ.get('OMP_WAIT_POLICY'))"]
    done = subprocess.run(command, env={**environment, **chosen}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_threads_wait_asleep_unless_the_environment_says_how():
    assert _policy() == "passive"


@pytest.mark.parametrize(
    ("name", "value", "policy"),
    [("OMP_WAIT_POLICY", "active", "active"), ("GOMP_SPINCOUNT", "100", "None"), ("KMP_BLOCKTIME", "0", "None")],
)
def test_what_the_user_chose_stands(name, value, policy):
    assert _policy(**{name: value}) == policy


def test_openmp_reads_the_choice():
    environment = {name: value for name, value in os.environ.items() if name not in CHOICES}
    command = [sys.executable, "-c", "import equicoherence, torch; torch.set_num_threads(2)"]
    done = subprocess.run(
        command, env={**environment, "OMP_DISPLAY_ENV": "true"}, capture_output=True, text=True, check=True
    )
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr
