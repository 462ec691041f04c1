"""Sounds to scores, where it is known what was played.

Required: sound/{method}/{recording}.wav and dataset/{recording}.wav.
Gives: scores/{method}/{recording}.json, each score beside what silence would get, and scores.csv
over all.
"""


rule evaluate_sound:
    input:
        sound="<results>/sound/{method}/{recording}.wav",
        reference="<results>/dataset/{recording}.wav",
        # For the capture rate, which a WAV rounds to a whole number.
        frames="<results>/frames/{recording}.h5",
    output:
        "<results>/scores/{method}/{recording}.json",
    log:
        "<results>/logs/evaluate_sound/{method}/{recording}.log",
    benchmark:
        "<results>/benchmarks/evaluate_sound/{method}/{recording}.tsv"
    wildcard_constraints:
        recording=one_of(REFERENCED),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        offset_s=lambda wildcards: RECORDINGS[wildcards.recording].offset_s,
        settings=SETTINGS["evaluation"],
        code=lambda wildcards: code_of("evaluate_sound"),
    script:
        "../workflow_scripts/evaluate_sound.py"


rule gather_scores:
    input:
        expand("<results>/scores/{method}/{recording}.json", method=METHODS, recording=REFERENCED),
    output:
        report(
            "<results>/scores.csv",
            caption="../workflow_scripts/visualmic/captions/scores.rst",
            category="Scores",
            labels={"table": "every score"},
        ),
    log:
        "<results>/logs/gather_scores.log",
    benchmark:
        "<results>/benchmarks/gather_scores.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    params:
        code=lambda wildcards: code_of("gather_scores"),
    script:
        "../workflow_scripts/gather_scores.py"
