"""The operations of the bridge, one module for each subject; commands and the daemon call them."""
