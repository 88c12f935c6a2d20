"""Networks of systems: what to keep of each layer, and the compressed network."""
