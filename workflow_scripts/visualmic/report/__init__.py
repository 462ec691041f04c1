"""Figures, the report page and previews."""
