"""The outside world: checkpoints of trained networks, and other libraries."""
