"""Light curves as arrays: time scales, averages, periods, variability, ensembles of stars."""
