"""The inventory of the images in use, and the alarm when one of them is removed."""
