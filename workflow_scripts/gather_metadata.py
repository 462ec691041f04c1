"""Gather the rows of all recordings into metadata.csv."""

from visualmic.workflow.job import job

with job(snakemake):
    import json
    from pathlib import Path

    from visualmic.film.metadata import write_metadata

    write_metadata(
        snakemake.output[0], [json.loads(Path(row).read_text()) for row in snakemake.input]
    )
