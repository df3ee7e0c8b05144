"""What is inside a region: exact sums, statistics, backgrounds, rows of photometry, curves of growth, profiles and their fits."""
