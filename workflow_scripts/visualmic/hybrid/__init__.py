"""Hearing as `lucas-kanade` does, with networks that know what sounds and objects are like."""
