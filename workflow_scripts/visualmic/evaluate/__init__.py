"""Scores of a recovered sound against its reference."""
