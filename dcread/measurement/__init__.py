"""A measurement: the features of a file and of the basins it refers to."""
