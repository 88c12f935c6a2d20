"""How each kind of layer stands in a checkpoint: one file a dialect."""
