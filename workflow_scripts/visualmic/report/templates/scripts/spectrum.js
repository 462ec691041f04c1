// Short-time spectra, computed from the samples that are heard for just the part that is shown.
'use strict';
visualmic.fft = function (real, imaginary) {
  const n = real.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let size = 2; size <= n; size <<= 1) {
    const half = size >> 1;
    const angle = (-2 * Math.PI) / size;
    for (let k = 0; k < half; k++) {
      const c = Math.cos(angle * k);
      const s = Math.sin(angle * k);
      for (let i = k; i < n; i += size) {
        const a = real[i + half] * c - imaginary[i + half] * s;
        const b = real[i + half] * s + imaginary[i + half] * c;
        real[i + half] = real[i] - a;
        imaginary[i + half] = imaginary[i] - b;
        real[i] += a;
        imaginary[i] += b;
      }
    }
  }
};

// Level in dB, columns of time by rows of frequency (lowest first), of a part of a track, which is
// taken at the loudness where its root-mean-square is 1.
visualmic.spectrogram = function (track, view, columns, rows, windowSeconds) {
  const length = Math.max(16, Math.round(windowSeconds * track.rate));
  let size = 32;
  while (size < 2 * length || (size * (view.high - view.low)) / track.rate < rows / 2) size *= 2;
  size = Math.min(size, 8192);
  const used = Math.min(length, size);
  const hann = Float32Array.from({ length: used }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / used));
  // A tone that holds all of the sound's power is at 0 dB.
  const scale = track.rms > 0 ? (2 * Math.SQRT2) / (used * track.rms) : 0;
  const level = new Float32Array(columns * rows);
  const real = new Float32Array(size);
  const imaginary = new Float32Array(size);
  for (let column = 0; column < columns; column++) {
    const time = view.from + ((column + 0.5) / columns) * (view.to - view.from);
    const first = Math.round((time - track.start_s) * track.rate - used / 2);
    real.fill(0);
    imaginary.fill(0);
    for (let i = Math.max(0, -first); i < used && first + i < track.samples.length; i++) real[i] = track.samples[first + i] * hann[i];
    visualmic.fft(real, imaginary);
    for (let row = 0; row < rows; row++) {
      const frequency = view.low + ((row + 0.5) / rows) * (view.high - view.low);
      const place = (frequency / track.rate) * size;
      const bin = Math.floor(place);
      let power = 0;
      if (bin < size / 2) {
        const part = place - bin;
        power = (1 - part) * (real[bin] ** 2 + imaginary[bin] ** 2)
          + part * (real[bin + 1] ** 2 + imaginary[bin + 1] ** 2);
      }
      level[column * rows + row] = 10 * Math.log10(power * scale * scale + 1e-12);
    }
  }
  return level;
};

visualmic.palette = function (hexadecimal) {
  const colours = new Uint8Array(768);
  for (let i = 0; i < 768; i++) colours[i] = parseInt(hexadecimal.slice(2 * i, 2 * i + 2), 16);
  return colours;
};

// Round numbers for an axis, about `count` of them between two values.
visualmic.ticks = function (low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) ticks.push(Number((k * step).toPrecision(12)));
  return ticks;
};
