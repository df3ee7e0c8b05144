"""What an exposure is: its record, its header, its place in a tree, its camera."""
