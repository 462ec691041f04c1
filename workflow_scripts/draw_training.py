"""Draw how the training of a model went, on every fold."""

from pathlib import Path

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.learn.history import read_history
    from visualmic.report.figures import draw_training

    folds = zip(snakemake.params.folds, snakemake.input, strict=True)
    draw_training(
        {fold: read_history(path) for fold, path in folds},
        Path(snakemake.output[0]).with_suffix(""),
        f"Training of {snakemake.wildcards.model}",
    )
