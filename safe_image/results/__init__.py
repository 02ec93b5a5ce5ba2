"""What commands find out about images, before a format shows it: outcomes of checks, layers, a comparison."""
