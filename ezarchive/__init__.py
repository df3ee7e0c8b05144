"""ezarchive: an archive of astronomical images, from a tree of FITS files to light curves."""
