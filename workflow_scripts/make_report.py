"""Build the page that people look at and listen to."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.report.page import build_report

    build_report(
        snakemake.params.results,
        snakemake.output[0],
        methods=snakemake.params.settings["methods"],
        settings=snakemake.params.settings,
        command=snakemake.params.command,
    )
