import equicoherence  # noqa: F401  before torch is imported, so that its threads wait without spinning
