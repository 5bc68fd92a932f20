"""An encoder that exists gains the task, and a table says what it gained and what it kept."""

from equicoherence.adapting.adaptation import Adapted as Adapted
from equicoherence.adapting.adaptation import adapt as adapt
