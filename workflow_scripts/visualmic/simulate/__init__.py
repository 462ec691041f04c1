"""Physically simulated recordings with known sound and known displacement.

A sound (:mod:`~visualmic.simulate.sounds`) drives the modes (:mod:`~visualmic.simulate.objects`,
:mod:`~visualmic.simulate.vibration`) of a textured object (:mod:`~visualmic.simulate.textures`),
whose displaced texture (:mod:`~visualmic.simulate.render`) a camera films
(:mod:`~visualmic.simulate.camera`). :class:`~visualmic.simulate.scene.Scene` puts them together in
memory, :func:`~visualmic.simulate.recording.simulate_recording` in files.
"""
