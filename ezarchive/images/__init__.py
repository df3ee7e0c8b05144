"""Pixels: images read lazily, masks, backgrounds, noise."""
