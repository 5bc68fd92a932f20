"""Downstream tasks on frozen or fine-tuned encoders: one file for each task; see `equicoherence.sets`."""
