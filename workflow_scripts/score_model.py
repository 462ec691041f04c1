"""Score a learned model on what one of its folds tests."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.learn.table import score_fold

    score_fold(
        snakemake.params.results,
        snakemake.wildcards.model,
        snakemake.wildcards.fold,
        snakemake.params.recordings,
        snakemake.params.classical,
        snakemake.params.max_lag_s,
    )
