"""Arrays in, tables out: detection and aperture photometry."""
