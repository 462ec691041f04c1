// Pictures of all tracks of a recording, one above the other over the same time and frequency.
'use strict';
visualmic.Lanes = class {
  static DYNAMIC_RANGE_DB = 60;
  static DIFFERENCE_DB = 30;
  static SHORTEST_S = 0.02;
  static NARROWEST_HZ = 20;

  constructor(root, tracks, duration, nyquist) {
    this.root = root;
    this.lanes = [...root.querySelectorAll('.lane')].map((element) => ({
      element,
      track: tracks.find((track) => track.key === element.dataset.track),
      plot: element.querySelector('.plot'),
      canvas: element.querySelector('canvas'),
      yTicks: element.querySelector('.y-ticks'),
    }));
    this.whole = { from: 0, to: duration, low: 0, high: nyquist };
    this.view = { ...this.whole };
    this.mode = 'spectrogram';
    this.detail = 1;
    this.window = Math.min(0.09, duration / 8);
    this.palettes = {
      spectrogram: visualmic.palette(visualmic.page.palettes.spectrogram),
      difference: visualmic.palette(visualmic.page.palettes.difference),
    };
    this.top = Math.max(...this.lanes.map(({ track }) =>
      visualmic.spectrogram(track, this.whole, 80, 100, this.window).reduce((a, b) => Math.max(a, b), -120)));
    this.loudest = Math.min(8, Math.max(...this.lanes.map(({ track }) => (track.rms > 0 ? track.peak / track.rms : 1))));
    this.onview = () => {};
    new ResizeObserver(() => this.draw()).observe(root);
  }

  get reference() { return this.lanes.find(({ track }) => track.kind === 'reference'); }

  // Part of the container's width that the plots take, in CSS pixels.
  get span() {
    const outer = this.root.getBoundingClientRect();
    const inner = this.lanes[0].plot.getBoundingClientRect();
    return { left: inner.left - outer.left, width: inner.width };
  }

  setView(view) {
    const { from: first, to: last, low: lowest, high: highest } = this.whole;
    const fit = (a, b, lo, hi, least) => {
      const size = Math.min(Math.max(b - a, least), hi - lo);
      const start = Math.min(Math.max((a + b - size) / 2, lo), hi - size);
      return [start, start + size];
    };
    const [from, to] = fit(view.from, view.to, first, last, visualmic.Lanes.SHORTEST_S);
    const [low, high] = fit(view.low, view.high, lowest, highest, visualmic.Lanes.NARROWEST_HZ);
    this.view = { from, to, low, high };
    this.draw();
    this.onview(this.view);
  }

  zoom(factor, time) {
    const { from, to } = this.view;
    const middle = time === undefined ? (from + to) / 2 : time;
    this.setView({ ...this.view, from: middle - (middle - from) * factor, to: middle + (to - middle) * factor });
  }

  pan(part) {
    const step = part * (this.view.to - this.view.from);
    const room = step < 0 ? this.whole.from - this.view.from : this.whole.to - this.view.to;
    const moved = Math.abs(step) < Math.abs(room) ? step : room;
    this.setView({ ...this.view, from: this.view.from + moved, to: this.view.to + moved });
  }

  timeAt(clientX) {
    const box = this.lanes[0].plot.getBoundingClientRect();
    return this.view.from + ((clientX - box.left) / box.width) * (this.view.to - this.view.from);
  }

  frequencyAt(lane, clientY) {
    const box = lane.plot.getBoundingClientRect();
    return this.view.high - ((clientY - box.top) / box.height) * (this.view.high - this.view.low);
  }

  draw() {
    cancelAnimationFrame(this.pending);
    this.pending = requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    if (!this.root.clientWidth) return;
    const box = this.lanes[0].plot.getBoundingClientRect();
    const columns = Math.max(60, Math.min(800, Math.round(box.width)));
    const rows = Math.max(32, Math.min(180, Math.round(box.height)));
    const levels = (lane) => visualmic.spectrogram(lane.track, this.view, columns, rows, this.window * this.detail);
    const truth = this.mode === 'difference' ? levels(this.reference) : null;
    for (const lane of this.lanes) {
      if (this.mode === 'waveform') this.drawWave(lane, box);
      else this.paint(lane, levels(lane), truth, columns, rows, box);
      lane.canvas.setAttribute('aria-label', `${this.mode} of ${lane.element.querySelector('.title').textContent}, ${this.view.from.toFixed(2)} to ${this.view.to.toFixed(2)} seconds`);
      this.drawFrequencies(lane);
    }
    this.drawTimes();
    this.drawScale();
  }

  paint(lane, level, truth, columns, rows, box) {
    const sheet = document.createElement('canvas');
    sheet.width = columns;
    sheet.height = rows;
    const image = new ImageData(columns, rows);
    const colours = this.palettes[truth ? 'difference' : 'spectrogram'];
    const floor = this.top - visualmic.Lanes.DYNAMIC_RANGE_DB;
    for (let column = 0; column < columns; column++) {
      for (let row = 0; row < rows; row++) {
        const place = column * rows + row;
        let part = (level[place] - floor) / visualmic.Lanes.DYNAMIC_RANGE_DB;
        if (truth) {
          const apart = Math.max(level[place], floor) - Math.max(truth[place], floor);
          part = 0.5 + (0.5 * apart) / visualmic.Lanes.DIFFERENCE_DB;
        }
        const colour = 3 * Math.round(255 * Math.min(1, Math.max(0, part)));
        const pixel = 4 * ((rows - 1 - row) * columns + column);
        image.data[pixel] = colours[colour];
        image.data[pixel + 1] = colours[colour + 1];
        image.data[pixel + 2] = colours[colour + 2];
        image.data[pixel + 3] = 255;
      }
    }
    sheet.getContext('2d').putImageData(image, 0, 0);
    const context = this.sized(lane.canvas, box);
    context.imageSmoothingQuality = 'high';
    context.drawImage(sheet, 0, 0, lane.canvas.width, lane.canvas.height);
  }

  drawWave(lane, box) {
    const context = this.sized(lane.canvas, box);
    const { width, height } = lane.canvas;
    const { samples, rate, rms, start_s: start } = lane.track;
    const style = getComputedStyle(lane.element);
    context.clearRect(0, 0, width, height);
    context.fillStyle = style.getPropertyValue('--line').trim();
    context.fillRect(0, height / 2, width, 1);
    context.fillStyle = style.getPropertyValue('--wave').trim();
    const unit = rms > 0 ? height / 2 / (rms * this.loudest) : 0;
    const time = (x) => this.view.from + (x / width) * (this.view.to - this.view.from);
    let before = null;
    for (let x = 0; x < width; x++) {
      const first = Math.max(0, Math.floor((time(x) - start) * rate));
      const last = Math.min(samples.length, Math.max(first + 1, Math.ceil((time(x + 1) - start) * rate)));
      if (first >= last) continue;
      let low = samples[first];
      let high = low;
      for (let i = first; i < last; i++) {
        low = Math.min(low, samples[i]);
        high = Math.max(high, samples[i]);
      }
      // Neighbours meet, so that a stretched wave stays one line.
      if (before !== null) {
        low = Math.min(low, before);
        high = Math.max(high, before);
      }
      before = samples[last - 1];
      context.fillRect(x, height / 2 - high * unit, 1, Math.max(1.5, (high - low) * unit));
    }
  }

  sized(canvas, box) {
    const density = Math.min(2, devicePixelRatio || 1);
    canvas.width = Math.max(1, Math.round(box.width * density));
    canvas.height = Math.max(1, Math.round(box.height * density));
    return canvas.getContext('2d');
  }

  drawFrequencies(lane) {
    const wave = this.mode === 'waveform';
    const [low, high] = wave ? [-this.loudest, this.loudest] : [this.view.low, this.view.high];
    const ticks = visualmic.ticks(low, high, wave ? 3 : Math.max(2, lane.plot.clientHeight / 38));
    lane.yTicks.replaceChildren(...ticks.map((value) => {
      const mark = document.createElement('span');
      const part = (value - low) / (high - low);
      mark.style.bottom = `${100 * part}%`;
      mark.classList.toggle('first', part < 0.08);
      mark.classList.toggle('last', part > 0.92);
      mark.textContent = wave ? `${value} × RMS`.replace('-', '−') : `${value} Hz`;
      return mark;
    }));
  }

  drawTimes() {
    const axis = this.root.querySelector('.x-ticks');
    const { left, width } = this.span;
    axis.style.marginLeft = `${left}px`;
    axis.style.width = `${width}px`;
    const { from, to } = this.view;
    axis.replaceChildren(...visualmic.ticks(from, to, Math.max(2, width / 90)).map((value) => {
      const mark = document.createElement('span');
      const part = (value - from) / (to - from);
      mark.style.left = `${100 * part}%`;
      mark.classList.toggle('first', part < 0.03);
      mark.classList.toggle('last', part > 0.97);
      mark.textContent = `${value} s`;
      return mark;
    }));
  }

  drawScale() {
    const box = this.root.parentElement.querySelector('.scale');
    box.classList.toggle('off', this.mode === 'waveform');
    const difference = this.mode === 'difference';
    const bar = box.querySelector('canvas');
    bar.width = 256;
    bar.height = 1;
    const image = new ImageData(256, 1);
    const colours = this.palettes[difference ? 'difference' : 'spectrogram'];
    for (let i = 0; i < 256; i++) image.data.set([colours[3 * i], colours[3 * i + 1], colours[3 * i + 2], 255], 4 * i);
    bar.getContext('2d').putImageData(image, 0, 0);
    const ends = difference
      ? [`−${visualmic.Lanes.DIFFERENCE_DB}`, `+${visualmic.Lanes.DIFFERENCE_DB}`]
      : [`−${visualmic.Lanes.DYNAMIC_RANGE_DB}`, '0'];
    box.querySelector('.low').textContent = ends[0];
    box.querySelector('.high').textContent = ends[1];
    box.querySelector('.what').textContent = difference
      ? 'dB: fainter or louder than what was played in the room'
      : 'dB below the loudest, one scale for every sound, each at the same loudness';
  }

  moveHead(time) {
    const head = this.root.querySelector('.playhead');
    const part = (time - this.view.from) / (this.view.to - this.view.from);
    head.hidden = part < 0 || part > 1;
    const { left, width } = this.span;
    head.style.transform = `translateX(${left + part * width}px)`;
  }
};
