"""What a state matrix can do, one file a structure."""
