"""Files that name images and are about to be deployed: each parser yields the images with their places."""
