"""What one open, untrusted HDF5 file stores; no basins."""
