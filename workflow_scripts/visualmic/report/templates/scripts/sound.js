// Sounds: from base64 to samples, up to a rate that browsers play, and all tracks on one clock.
'use strict';
visualmic.decode = function (track) {
  const text = atob(track.pcm);
  const samples = new Float32Array(text.length / 2);
  let power = 0;
  let peak = 0;
  for (let i = 0; i < samples.length; i++) {
    // Two bytes, the lower first; the shifts carry the sign.
    const value = ((text.charCodeAt(2 * i) | (text.charCodeAt(2 * i + 1) << 8)) << 16) >> 16;
    samples[i] = value / 32768;
    power += samples[i] * samples[i];
    peak = Math.max(peak, Math.abs(samples[i]));
  }
  return Object.assign(track, { pcm: null, samples, peak, rms: Math.sqrt(power / Math.max(samples.length, 1)) });
};

// Browsers need not play below 8 kHz and interpolate coarsely, so a sound is raised by a whole
// factor with a windowed sinc: what is above its own band stays 60 dB down.
visualmic.raised = function (samples, factor) {
  if (factor === 1) return samples;
  const reach = 12;
  const out = new Float32Array(samples.length * factor);
  for (let phase = 0; phase < factor; phase++) {
    const taps = new Float32Array(2 * reach);
    let sum = 0;
    for (let k = 0; k < taps.length; k++) {
      const t = k - reach + 1 - phase / factor;
      const window = Math.abs(t) < reach ? 0.5 + 0.5 * Math.cos((Math.PI * t) / reach) : 0;
      taps[k] = window * (t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t));
      sum += taps[k];
    }
    for (let n = 0; n < samples.length; n++) {
      let value = 0;
      const first = Math.max(0, reach - 1 - n);
      const last = Math.min(taps.length, samples.length + reach - 1 - n);
      for (let k = first; k < last; k++) value += taps[k] * samples[n + k - reach + 1];
      out[n * factor + phase] = value / sum;
    }
  }
  return out;
};

// A 16-bit WAV of what is heard, for the user to keep.
visualmic.wavFile = function (samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, 'RIFF');
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, 'WAVEfmt ');
  [[16, 16, 4], [20, 1, 2], [22, 1, 2], [24, rate, 4], [28, 2 * rate, 4], [32, 2, 2], [34, 16, 2]]
    .forEach(([at, value, size]) => (size === 4 ? view.setUint32(at, value, true) : view.setUint16(at, value, true)));
  text(36, 'data');
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, i) => view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, value)) * 32767, true));
  return new Blob([view.buffer], { type: 'audio/wav' });
};

// One transport over all tracks of a recording. Every track plays all the time, only one is let
// through, so that a switch keeps the position to the sample.
visualmic.Transport = class {
  static context = null;
  static playing = null;

  constructor(tracks, duration) {
    this.tracks = tracks;
    this.duration = duration;
    this.position = 0;
    this.active = tracks[0].key;
    this.loop = true;
    this.range = [0, duration];
    this.sources = [];
    this.onstate = () => {};
  }

  buffers() {
    const context = visualmic.Transport.context;
    // Long films are raised less, to spare memory.
    const target = this.duration > 120 ? 12000 : 24000;
    for (const track of this.tracks) {
      if (track.buffer) continue;
      if (!track.samples) visualmic.decode(track);
      const factor = Math.max(1, Math.ceil(target / track.rate));
      const data = visualmic.raised(track.samples, factor);
      track.buffer = context.createBuffer(1, Math.max(1, data.length), track.rate * factor);
      track.buffer.copyToChannel(data, 0);
    }
  }

  get isPlaying() { return visualmic.Transport.playing === this; }

  now() {
    if (!this.isPlaying) return this.position;
    const context = visualmic.Transport.context;
    const elapsed = Math.max(0, context.currentTime - this.startedAt - (context.outputLatency || 0));
    return Math.min(this.position + elapsed, this.duration);
  }

  play() {
    if (this.isPlaying) return;
    if (visualmic.Transport.playing) visualmic.Transport.playing.pause();
    visualmic.Transport.context = visualmic.Transport.context || new AudioContext();
    visualmic.Transport.playing = this;
    visualmic.Transport.context.resume();
    this.buffers();
    if (this.position >= this.range[1] - 0.01 || this.position < this.range[0]) this.position = this.range[0];
    this.start();
    this.onstate();
  }

  start() {
    const context = visualmic.Transport.context;
    this.startedAt = context.currentTime + 0.03;
    this.sources = this.tracks.map((track) => {
      const source = context.createBufferSource();
      const gain = context.createGain();
      source.buffer = track.buffer;
      gain.gain.value = this.gainOf(track);
      source.connect(gain).connect(context.destination);
      const ahead = track.start_s - this.position;
      if (ahead >= 0) source.start(this.startedAt + ahead, 0);
      else if (-ahead < track.buffer.duration) source.start(this.startedAt, -ahead);
      return { source, gain, track };
    });
    const wait = this.startedAt - context.currentTime + this.range[1] - this.position;
    this.timer = setTimeout(() => this.finish(), 1000 * wait);
  }

  gainOf(track) {
    return track.key === this.active && track.rms > 0 ? Math.min(0.12 / track.rms, 0.9 / track.peak) : 0;
  }

  finish() {
    this.stop();
    this.position = this.range[0];
    if (this.loop) this.start();
    else {
      visualmic.Transport.playing = null;
      this.onstate();
    }
  }

  stop() {
    clearTimeout(this.timer);
    for (const { source } of this.sources) {
      try { source.stop(); } catch (error) { /* it was past its end and never started */ }
      source.disconnect();
    }
    this.sources = [];
  }

  pause() {
    if (!this.isPlaying) return;
    this.position = this.now();
    this.stop();
    visualmic.Transport.playing = null;
    this.onstate();
  }

  toggle() { if (this.isPlaying) this.pause(); else this.play(); }

  seek(time) {
    const again = this.isPlaying;
    if (again) this.stop();
    this.position = Math.max(0, Math.min(time, this.duration));
    if (again) this.start();
    this.onstate();
  }

  // What is shown is what is played.
  setRange(from, to) {
    this.range = [from, to];
    const time = this.now();
    if (this.isPlaying) this.seek(time < from || time >= to ? from : time);
    else this.onstate();
  }

  choose(key) {
    this.active = key;
    const context = visualmic.Transport.context;
    for (const { gain, track } of this.sources) gain.gain.setTargetAtTime(this.gainOf(track), context.currentTime, 0.012);
    this.onstate();
  }
};
