"""Gather the scores of every method on every recording into one table."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.evaluate.scores import read_scores, scores_table, write_table

    write_table(snakemake.output[0], scores_table(read_scores(path) for path in snakemake.input))
