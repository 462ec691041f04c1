"""Draw the scores of every method beside silence."""

from pathlib import Path

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.evaluate.scores import read_scores, scores_table
    from visualmic.report.figures import draw_scores

    rows = scores_table(read_scores(path) for path in snakemake.input)
    draw_scores(rows, Path(snakemake.output[0]).with_suffix(""))
