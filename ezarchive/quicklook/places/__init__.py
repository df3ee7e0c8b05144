"""Where things are: links between images, the compass, line profiles and cuts."""
