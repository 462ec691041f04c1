"""Sounds and scores to pictures, each as PNG and as SVG.

Required: the sounds of every method, and the reference sounds and scores where there are any.
Gives: figures/sounds/{recording} (waveforms and spectrograms), figures/frequency_snr/{recording}
(how clearly each frequency was heard), figures/amplitudes/{recording} (recovered against played),
figures/heat_map/{recording} (where in the frame the sound was heard), and figures/scores (every
method beside silence).
"""

# What the report shows; the figures that compare need to know what was played.
FIGURES = [
    *expand("<results>/figures/sounds/{recording}.png", recording=RECORDINGS),
    *expand(
        "<results>/figures/{kind}/{recording}.png",
        kind=["frequency_snr", "amplitudes"],
        recording=REFERENCED,
    ),
    # Only blocks have a place in the frame; subbands have none.
    *expand(
        "<results>/figures/heat_map/{recording}.png",
        recording=RECORDINGS if "lucas-kanade" in BASES else [],
    ),
    "<results>/figures/scores.png",
    *expand("<results>/figures/training/{model}.png", model=MODELS),
]


rule draw_sounds:
    input:
        sounds=expand("<results>/sound/{method}/{{recording}}.wav", method=METHODS),
        reference=lambda wildcards: (
            f"<results>/dataset/{wildcards.recording}.wav"
            if wildcards.recording in REFERENCED
            else []
        ),
        # For the capture rate, which a WAV rounds to a whole number.
        frames="<results>/frames/{recording}.h5",
    output:
        report(
            "<results>/figures/sounds/{recording}.png",
            caption="../workflow_scripts/visualmic/captions/sounds.rst",
            category="Recordings",
            subcategory="{recording}",
            labels={"picture": "waveforms and spectrograms"},
        ),
        "<results>/figures/sounds/{recording}.svg",
    log:
        "<results>/logs/draw_sounds/{recording}.log",
    benchmark:
        "<results>/benchmarks/draw_sounds/{recording}.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        methods=METHODS,
        # The offset says nothing where there is no reference.
        offset_s=lambda wildcards: (
            RECORDINGS[wildcards.recording].offset_s if wildcards.recording in REFERENCED else None
        ),
        settings=SETTINGS["evaluation"],
        code=lambda wildcards: code_of("draw_sounds"),
    script:
        "../workflow_scripts/draw_sounds.py"


rule draw_frequency_snr:
    input:
        sounds=expand("<results>/sound/{method}/{{recording}}.wav", method=METHODS),
        reference="<results>/dataset/{recording}.wav",
        # For the capture rate, which a WAV rounds to a whole number.
        frames="<results>/frames/{recording}.h5",
    output:
        report(
            "<results>/figures/frequency_snr/{recording}.png",
            caption="../workflow_scripts/visualmic/captions/frequency_snr.rst",
            category="Recordings",
            subcategory="{recording}",
            labels={"picture": "clearness by frequency"},
        ),
        "<results>/figures/frequency_snr/{recording}.svg",
    log:
        "<results>/logs/draw_frequency_snr/{recording}.log",
    benchmark:
        "<results>/benchmarks/draw_frequency_snr/{recording}.tsv"
    wildcard_constraints:
        recording=one_of(REFERENCED),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        methods=METHODS,
        offset_s=lambda wildcards: RECORDINGS[wildcards.recording].offset_s,
        settings=SETTINGS["evaluation"],
        code=lambda wildcards: code_of("draw_frequency_snr"),
    script:
        "../workflow_scripts/draw_frequency_snr.py"


rule draw_amplitudes:
    input:
        sounds=expand("<results>/sound/{method}/{{recording}}.wav", method=METHODS),
        reference="<results>/dataset/{recording}.wav",
        # For the capture rate, which a WAV rounds to a whole number.
        frames="<results>/frames/{recording}.h5",
    output:
        report(
            "<results>/figures/amplitudes/{recording}.png",
            caption="../workflow_scripts/visualmic/captions/amplitudes.rst",
            category="Recordings",
            subcategory="{recording}",
            labels={"picture": "recovered against played"},
        ),
        "<results>/figures/amplitudes/{recording}.svg",
    log:
        "<results>/logs/draw_amplitudes/{recording}.log",
    benchmark:
        "<results>/benchmarks/draw_amplitudes/{recording}.tsv"
    wildcard_constraints:
        recording=one_of(REFERENCED),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        methods=METHODS,
        offset_s=lambda wildcards: RECORDINGS[wildcards.recording].offset_s,
        settings=SETTINGS["evaluation"],
        code=lambda wildcards: code_of("draw_amplitudes"),
    script:
        "../workflow_scripts/draw_amplitudes.py"


rule draw_heat_map:
    input:
        frames="<results>/frames/{recording}.h5",
        diagnosis="<results>/diagnostics/lucas-kanade/{recording}.json",
    output:
        report(
            "<results>/figures/heat_map/{recording}.png",
            caption="../workflow_scripts/visualmic/captions/heat_map.rst",
            category="Recordings",
            subcategory="{recording}",
            labels={"picture": "where it was heard"},
        ),
        "<results>/figures/heat_map/{recording}.svg",
    log:
        "<results>/logs/draw_heat_map/{recording}.log",
    benchmark:
        "<results>/benchmarks/draw_heat_map/{recording}.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=lambda wildcards: code_of("draw_heat_map"),
    script:
        "../workflow_scripts/draw_heat_map.py"


rule draw_scores:
    input:
        expand("<results>/scores/{method}/{recording}.json", method=METHODS, recording=REFERENCED),
    output:
        report(
            "<results>/figures/scores.png",
            caption="../workflow_scripts/visualmic/captions/figure_scores.rst",
            category="Scores",
            labels={"picture": "every method beside silence"},
        ),
        "<results>/figures/scores.svg",
    log:
        "<results>/logs/draw_scores.log",
    benchmark:
        "<results>/benchmarks/draw_scores.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=lambda wildcards: code_of("draw_scores"),
    script:
        "../workflow_scripts/draw_scores.py"
