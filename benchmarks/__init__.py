"""How fast dcread reads, against its peers and against the machine's limits."""
