"""How the charts of the experiments look."""

from __future__ import annotations

from typing import Any

PALETTE = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333", "#9467BD", "#8C564B", "#17BECF"),
    *("#BCBD22", "#98DF8A", "#FF9896", "#9E9E9E", "#C5B0D5", "#7A4A00", "#4B0082"),
)
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.edgecolor": "#7a828e",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
