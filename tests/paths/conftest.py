"""Every test that asks for ``images`` runs on smooth ones and on ones with edges and texture."""

from __future__ import annotations

import pytest
from torch import Tensor

from .pictures import smooth, textured


@pytest.fixture(params=[smooth, textured], ids=["smooth", "textured"])
def images(request: pytest.FixtureRequest) -> Tensor:
    return request.param(2, 96)
