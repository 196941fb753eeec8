"""Several measurements joined into one virtual file."""
