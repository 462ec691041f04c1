"""Physically simulated recordings with known sound and known displacement."""
