"""Light curves as users ask for them: of a place or of an object, with limits, time scales, bins and files for other programs."""
