"""Files of tensors: formats, types, safe reading, atomic writing."""
