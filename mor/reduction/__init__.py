"""What can be made of a system: one file a family, all return a Reduction."""
