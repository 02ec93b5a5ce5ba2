"""The demo: real deploys of the example on this machine, with healthy images and with broken ones."""
