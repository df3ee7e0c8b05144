"""Compiled loops over pixels, and over points on the sky: arrays in, arrays out.

They know nothing of frames, options or tables, and belong to the ground so that images and photometry may both use them. Importing a
module of this room imports numba (0.2 s), so modules that are imported early import them where they are used. Nothing here depends on the
number of threads; sums keep their order (no ``fastmath``), so that results are the same everywhere and equal sep's.
"""
