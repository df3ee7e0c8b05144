"""One image against another: grids, transfer functions, image and star fits, bandpass images, and the anchoring of bands."""
