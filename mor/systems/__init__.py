"""What is reduced: one file a kind of system, all frozen dataclasses."""
