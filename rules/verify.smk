"""Is every file still what was made?

Required: the logs of the jobs, each of which ends with the digests of what the job made.
Gives: nothing but an answer; it makes nothing, so that it finds what was changed behind Snakemake's
back rather than making other files from it. With a benchmark Snakemake would run it only once.
"""


rule verify:
    log:
        "<results>/logs/verify.log",
    conda:
        "../envs/core.yaml"
    threads: 1
    params:
        logs=f"{SETTINGS['results']}/logs",
    script:
        "../workflow_scripts/verify.py"
