"""Frames and reference sounds to networks that hear, and what these say to sounds and scores.

Required: frames/{recording}.h5, dataset/samples/{recording}.csv, and the sound that the classical
method of the setting learn.classical heard, which says when the film is late and where the object
is.
Gives: splits/{fold}.json (which frames train, choose and test), models/{model}/{fold}/ (weights
with the normalisation used, history.csv, training.json, metrics.json),
predictions/{model}/{fold}/{recording}.csv, sound/{model}/{recording}.wav, figures/training/, and
models.csv, every model beside every classical method on the same frames.

Recordings of the role train are learnt from. In the sound of one each frame is heard by the model
of the fold that tests this frame, and so was not trained on it; other recordings are heard by the
model of the fold `later`, which was trained on none of their frames.
"""


rule split_frames:
    input:
        expand("<results>/frames/{recording}.h5", recording=LEARNT),
    output:
        "<results>/splits/{fold}.json",
    log:
        "<results>/logs/split_frames/{fold}.log",
    benchmark:
        "<results>/benchmarks/split_frames/{fold}.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        roles={name: RECORDINGS[name].role for name in LEARNT},
        # Which folds there are changes none of them.
        settings={name: value for name, value in LEARN["splits"].items() if name != "kinds"},
        code=lambda wildcards: code_of("split_frames"),
    script:
        "../workflow_scripts/split_frames.py"


rule train_model:
    input:
        split="<results>/splits/{fold}.json",
        # A recording that the fold leaves out is not even read.
        frames=lambda wildcards: expand(
            "<results>/frames/{recording}.h5", recording=learnt_in(wildcards.fold)
        ),
        samples=lambda wildcards: expand(
            "<results>/dataset/samples/{recording}.csv", recording=learnt_in(wildcards.fold)
        ),
        heard=lambda wildcards: expand(
            "<results>/sound/{method}/{recording}.wav",
            method=LEARN["classical"],
            recording=learnt_in(wildcards.fold),
        ),
    output:
        model="<results>/models/{model}/{fold}/model.pt",
        history="<results>/models/{model}/{fold}/history.csv",
        facts="<results>/models/{model}/{fold}/training.json",
    log:
        "<results>/logs/train_model/{model}/{fold}.log",
    benchmark:
        "<results>/benchmarks/train_model/{model}/{fold}.tsv"
    conda:
        "../envs/learn.yaml"
    threads: LEARN["training"]["threads"]
    resources:
        # A job that was killed for its memory gets more when it is tried again.
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=1440,
        gpu=LEARN["training"]["gpus"],
    params:
        recordings=lambda wildcards: learnt_in(wildcards.fold),
        settings=lambda wildcards: network_settings(wildcards.model),
        max_lag_s=LEARN["splits"]["max_lag_s"],
        # What a killed run goes on from; no output, for Snakemake would remove it.
        checkpoints=f"{SETTINGS['results']}/checkpoints/{{model}}/{{fold}}",
        code=lambda wildcards: code_of("train_model"),
    script:
        "../workflow_scripts/train_model.py"


rule predict_frames:
    input:
        model="<results>/models/{model}/{fold}/model.pt",
        split="<results>/splits/{fold}.json",
        frames="<results>/frames/{recording}.h5",
        # Says where the object is in a film that the model was not trained on.
        heard=lambda wildcards: f"<results>/sound/{LEARN['classical']}/{wildcards.recording}.wav",
    output:
        "<results>/predictions/{model}/{fold}/{recording}.csv",
    log:
        "<results>/logs/predict_frames/{model}/{fold}/{recording}.log",
    benchmark:
        "<results>/benchmarks/predict_frames/{model}/{fold}/{recording}.tsv"
    conda:
        "../envs/learn.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=240,
    params:
        code=lambda wildcards: code_of("predict_frames"),
    script:
        "../workflow_scripts/predict_frames.py"


rule predict_sound:
    input:
        predictions=lambda wildcards: predictions_of(wildcards.model, wildcards.recording),
        # For the times of the frames.
        frames="<results>/frames/{recording}.h5",
    output:
        "<results>/sound/{model}/{recording}.wav",
    log:
        "<results>/logs/predict_sound/{model}/{recording}.log",
    benchmark:
        "<results>/benchmarks/predict_sound/{model}/{recording}.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=lambda wildcards: code_of("predict_sound"),
    script:
        "../workflow_scripts/predict_sound.py"


rule draw_training:
    input:
        lambda wildcards: expand(
            "<results>/models/{model}/{fold}/history.csv", model=wildcards.model, fold=FOLDS
        ),
    output:
        report(
            "<results>/figures/training/{model}.png",
            caption="../workflow_scripts/visualmic/captions/training.rst",
            category="Models",
            labels={"picture": "training of {model}"},
        ),
        "<results>/figures/training/{model}.svg",
    log:
        "<results>/logs/draw_training/{model}.log",
    benchmark:
        "<results>/benchmarks/draw_training/{model}.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        folds=FOLDS,
        code=lambda wildcards: code_of("draw_training"),
    script:
        "../workflow_scripts/draw_training.py"


# Not by the job of the table: while a job lacks files that nobody asked for, Snakemake does not see
# that its inputs and settings changed, and a model more would leave the table as it was.
rule score_model:
    input:
        split="<results>/splits/{fold}.json",
        facts="<results>/models/{model}/{fold}/training.json",
        predictions=lambda wildcards: expand(
            "<results>/predictions/{model}/{fold}/{recording}.csv",
            model=wildcards.model,
            fold=wildcards.fold,
            recording=tested_in(wildcards.fold),
        ),
        frames=lambda wildcards: expand(
            "<results>/frames/{recording}.h5", recording=tested_in(wildcards.fold)
        ),
        samples=lambda wildcards: expand(
            "<results>/dataset/samples/{recording}.csv", recording=tested_in(wildcards.fold)
        ),
        heard=lambda wildcards: expand(
            "<results>/sound/{method}/{recording}.wav",
            method=LEARN["classical"],
            recording=tested_in(wildcards.fold),
        ),
    output:
        "<results>/models/{model}/{fold}/metrics.json",
    log:
        "<results>/logs/score_model/{model}/{fold}.log",
    benchmark:
        "<results>/benchmarks/score_model/{model}/{fold}.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        # Up from models/{model}/{fold}/.
        results=lambda wildcards, output: str(Path(output[0]).parents[3]),
        recordings=lambda wildcards: tested_in(wildcards.fold),
        classical=LEARN["classical"],
        max_lag_s=LEARN["splits"]["max_lag_s"],
        code=lambda wildcards: code_of("score_model"),
    script:
        "../workflow_scripts/score_model.py"


rule tabulate_models:
    input:
        splits=expand("<results>/splits/{fold}.json", fold=FOLDS),
        facts=expand("<results>/models/{model}/{fold}/training.json", model=MODELS, fold=FOLDS),
        predictions=tested_predictions(MODELS),
        frames=expand("<results>/frames/{recording}.h5", recording=REFERENCED),
        samples=expand("<results>/dataset/samples/{recording}.csv", recording=REFERENCED),
        heard=expand(
            "<results>/sound/{method}/{recording}.wav",
            method=sorted({*CLASSICAL, LEARN["classical"]}),
            recording=REFERENCED,
        ),
    output:
        report(
            "<results>/models.csv",
            caption="../workflow_scripts/visualmic/captions/models.rst",
            category="Models",
            labels={"table": "every model and method on the same frames"},
        ),
    log:
        "<results>/logs/tabulate_models.log",
    benchmark:
        "<results>/benchmarks/tabulate_models.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        results=lambda wildcards, output: os.path.dirname(output[0]),
        settings={
            "models": MODELS,
            "methods": CLASSICAL,
            "folds": FOLDS,
            "trained": TRAINED,
            "unseen": [name for name in REFERENCED if name not in LEARNT],
            "classical": LEARN["classical"],
            "max_lag_s": LEARN["splits"]["max_lag_s"],
        },
        code=lambda wildcards: code_of("tabulate_models"),
    script:
        "../workflow_scripts/tabulate_models.py"
