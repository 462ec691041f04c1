"""Score every model beside every classical method, on the same frames."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.learn.table import TableSettings, tabulate_models

    tabulate_models(snakemake.params.results, TableSettings(**snakemake.params.settings))
