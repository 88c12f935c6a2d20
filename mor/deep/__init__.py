"""Networks of systems: what to keep of each layer, and the compressed network."""

from mor.deep.compress import Compression, compress
from mor.deep.network import Network
from mor.deep.ranks import allocate_ranks

__all__ = ["Compression", "Network", "allocate_ranks", "compress"]
