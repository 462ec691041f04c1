"""Settings and the recordings table: reading them, and saying clearly what is wrong with them."""
