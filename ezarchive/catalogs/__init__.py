"""Tables on disk: per-image Parquet catalogs, SQL over them, light curves."""
