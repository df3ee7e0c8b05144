"""Images as pictures: paths, addresses of HDUs, arrays and NDData, their units, errors, masks and WCS."""
