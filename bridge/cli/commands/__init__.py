"""The commands, one module for each; every module defines ``command``."""
