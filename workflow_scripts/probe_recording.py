"""Say what a film holds: its row of the metadata."""

from visualmic.workflow.job import job

with job(snakemake):
    import json

    from visualmic.atomic import atomic_path
    from visualmic.film.metadata import file_sha256, metadata_row
    from visualmic.film.probe import probe_film

    info = probe_film(snakemake.input.film, snakemake.params.fps)
    row = metadata_row(
        info,
        file_sha256(snakemake.input.film),
        role=snakemake.params.role,
        offset_s=snakemake.params.offset_s,
        recording=snakemake.wildcards.recording,
    )
    with atomic_path(snakemake.output[0]) as path:
        path.write_text(json.dumps({**row, "warnings": info.warnings}, indent=1) + "\n")
