"""The results that commands have before a format shows them: outcomes of checks, layers, comparisons."""
