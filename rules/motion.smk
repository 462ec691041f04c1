"""Frames to local motion: what trembled where, before it is combined into one sound.

Required: frames/{recording}.h5.
Gives: motion/{method}/{recording}.h5 with the motion signals of every place in the frame and the
noise that the sensor alone gives each.

This is where the time goes, so only what a measurement really uses is among its parameters: how
signals are combined afterwards, or what other methods do, remakes nothing here.
"""


rule measure_motion:
    input:
        frames="<results>/frames/{recording}.h5",
    output:
        "<results>/motion/{method}/{recording}.h5",
    log:
        "<results>/logs/measure_motion/{method}/{recording}.log",
    benchmark:
        "<results>/benchmarks/measure_motion/{method}/{recording}.tsv"
    wildcard_constraints:
        method=one_of(MEASURED),
    conda:
        "../envs/core.yaml"
    threads: 2
    resources:
        # A job that was killed for its memory gets more when it is tried again.
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=240,
    params:
        settings=lambda wildcards: SETTINGS[wildcards.method]["measure"],
        code=lambda wildcards: code_of("measure_motion", wildcards.method),
    script:
        "../workflow_scripts/measure_motion.py"
