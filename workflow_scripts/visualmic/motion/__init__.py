"""Local motion measured from frames, and its combination into one sound."""
