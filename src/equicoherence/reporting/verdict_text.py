"""The verdict in words for a terminal: what was gained, what was kept, and what is worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from equicoherence.reporting.noise_limit import UNTRUSTED
from equicoherence.reporting.summary import summarise_scores
from equicoherence.reporting.verdict import Said, main_figures, verdicts

REASON = "One reason: a part of the features and of the training is spent on the task."


def verdict_text(scores: Mapping[str, Sequence[Mapping[str, Any]]], reference: str) -> str:
    """Return a line for each name but the reference, of at most four sentences; "" without scores of both.

    scores: name -> the content of the ``scores.json`` of each of its runs.
    """
    figures = main_figures(summarise_scores(scores), {name: [name] for name in scores})
    return "\n".join(map(in_sentences, verdicts(figures, list(scores), reference)))


def in_sentences(said: Said) -> str:
    """Return one verdict in sentences: the gains, then what did not change, then what is worse and why it may be."""
    listed = {verb: ", ".join(texts) for verb, texts in said.changes.items()}
    nothing = "nothing clearly" if "not clear" in listed else "nothing"
    same = "; ".join(f"{verb}: {listed[verb]}" for verb in ("kept", "not clear", UNTRUSTED) if verb in listed)
    return " ".join(
        [
            f"Against {said.against}, {said.name} gained {listed.get('gained', nothing)}.",
            *([f"{same[0].upper()}{same[1:]}."] if same else []),
            f"Worse: {listed['lost']}. {REASON}" if "lost" in listed else "Nothing is clearly worse.",
        ]
    )
