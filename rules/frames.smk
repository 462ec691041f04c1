"""Films to frame stores: the luma as filmed, cropped, with the time of every frame.

Required: the film of a recording.
Gives: frames/{recording}.h5 with /frames uint8 (T, H, W) and /time_s float64 (T,).

Every method reads frames from here, so that a film is decoded once.
"""


rule extract_frames:
    input:
        film=lambda wildcards: film_of(wildcards.recording),
    output:
        "<results>/frames/{recording}.h5",
    log:
        "<results>/logs/extract_frames/{recording}.log",
    benchmark:
        "<results>/benchmarks/extract_frames/{recording}.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        fps=lambda wildcards: RECORDINGS[wildcards.recording].fps,
        crop=lambda wildcards: RECORDINGS[wildcards.recording].crop,
        code=lambda wildcards: code_of("extract_frames"),
    script:
        "../workflow_scripts/extract_frames.py"
