"""The visualmic command: a thin shell over the library."""
