"""Gather the rows of all recordings into metadata.csv."""

from visualmic.workflow.job import job

with job(snakemake):
    import json
    from pathlib import Path

    from visualmic.film.metadata import METADATA_COLUMNS, write_metadata

    probes = [json.loads(Path(probe).read_text()) for probe in snakemake.input]
    write_metadata(
        snakemake.output[0],
        [{column: probe[column] for column in METADATA_COLUMNS} for probe in probes],
    )
