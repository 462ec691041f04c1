"""Draw waveforms and spectrograms of what each method heard, beside what was played."""

from pathlib import Path

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.audio.wav import read_audio
    from visualmic.evaluate.scores import EvaluationSettings
    from visualmic.film.frames import StoredFrames
    from visualmic.report.figures import align_files, draw_sounds, draw_sounds_alone

    stem, title = Path(snakemake.output[0]).with_suffix(""), snakemake.wildcards.recording
    files = dict(zip(snakemake.params.methods, snakemake.input.sounds, strict=True))
    fps = StoredFrames(snakemake.input.frames).capture_fps
    if snakemake.input.reference:
        sounds = align_files(
            files,
            snakemake.input.reference,
            offset_s=snakemake.params.offset_s,
            fps=fps,
            settings=EvaluationSettings(**snakemake.params.settings),
        )
        draw_sounds(sounds, stem, title)
    else:
        heard = {method: (read_audio(path)[0], fps) for method, path in files.items()}
        draw_sounds_alone(heard, stem, title)
