"""Check every file against the digest recorded when it was made."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.workflow.digests import verify

    verify(snakemake.params.logs)
