"""Networks of systems: what to keep of each layer, and the compressed network."""

from mor.deep.network import Network

__all__ = ["Network"]
