"""What is shown and how: limits, stretches, previews, contours, statistics, read-out, plot options."""
