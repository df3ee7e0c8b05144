"""Shapes and subsets: regions of every kind, on pixels and on the sky, their files, their centres."""
