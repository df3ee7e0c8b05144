"""What `index` is made of: the walk through a tree, the reading of files, the identity of frames, the entry of a batch."""
