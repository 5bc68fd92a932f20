"""The auxiliary task: from the equivariant features of two views, reconstruct intermediate states of the path [P2].

The task never sees the parameters of the path. `ThetaRegression` does: alone it is the oracle control, the ceiling
against which the task is measured, and no part of the method; beside decoders it adds labels to the task.
"""

from equicoherence.coherence.config import CoherenceConfig
from equicoherence.coherence.oracle import ThetaRegression
from equicoherence.coherence.several import CoherenceTasks
from equicoherence.coherence.task import CoherenceOutput, CoherenceTask

__all__ = ["CoherenceConfig", "CoherenceOutput", "CoherenceTask", "CoherenceTasks", "ThetaRegression"]
