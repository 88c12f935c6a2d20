"""What was found and done, for people (tables, plots) and for machines (plain data)."""
