"""How measurements become objects: which catalogs, which rows, which object, and what is written; joined by `ezarchive.associate`."""
