"""What can be learnt of a system. Nothing here asks which kind it is."""
