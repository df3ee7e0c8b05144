"""The light-curve store on disk: objects and their measurements, sorted by object, partitioned by HEALPix; a valid HATS catalog."""
