"""Layers of a network among its named tensors, whether these come from a file or live in a model."""
