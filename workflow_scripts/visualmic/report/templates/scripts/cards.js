// The cards: filled when they are opened, each with its player.
'use strict';
visualmic.players = new Map();

visualmic.Player = class {
  constructor(root, recording) {
    this.root = root;
    this.tracks = recording.tracks;
    // The wide one is only heard, not seen: it can wait until it is played.
    for (const track of this.tracks) if (track.kind !== 'wide') visualmic.decode(track);
    this.transport = new visualmic.Transport(this.tracks, recording.duration_s);
    this.lanes = new visualmic.Lanes(root.querySelector('.lanes'), this.tracks, recording.duration_s, recording.nyquist_hz);
    this.readout = root.querySelector('.readout');
    this.button = root.querySelector('.play');
    this.slider = root.querySelector('.seek');
    this.clock = root.querySelector('.clock');
    this.limit = root.querySelector('.limit');
    this.picks = [...root.querySelectorAll('.pick input')];
    this.name = recording.name;
    this.connect();
    visualmic.gestures(this.lanes, this);
    this.choose();
  }

  connect() {
    this.transport.onstate = () => this.show();
    this.lanes.onview = ({ from, to }) => this.transport.setRange(from, to);
    this.button.addEventListener('click', () => this.transport.toggle());
    this.slider.addEventListener('input', () => this.seek(Number(this.slider.value)));
    this.root.querySelector('.loop').addEventListener('change', (event) => { this.transport.loop = event.target.checked; });
    if (this.limit) this.limit.addEventListener('change', () => this.choose());
    for (const pick of this.picks) pick.addEventListener('change', () => this.choose());
    for (const mode of this.root.querySelectorAll('.modes input')) {
      mode.addEventListener('change', () => {
        this.lanes.mode = mode.value;
        this.lanes.draw();
      });
    }
    this.root.querySelector('.window').addEventListener('change', (event) => {
      this.lanes.detail = Number(event.target.value);
      this.lanes.draw();
    });
    const zooms = { in: () => this.lanes.zoom(0.5), out: () => this.lanes.zoom(2), reset: () => this.whole() };
    for (const button of this.root.querySelectorAll('[data-zoom]')) button.addEventListener('click', zooms[button.dataset.zoom]);
    this.root.querySelector('.save').addEventListener('click', () => this.save());
    document.addEventListener('themechange', () => this.lanes.draw());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.lanes.draw());
  }

  pick(index) {
    this.picks[index].checked = true;
    this.choose();
  }

  choose() {
    const lane = this.picks.find((pick) => pick.checked).value;
    const wide = lane === 'reference' && this.limit && !this.limit.checked;
    this.transport.choose(wide ? 'wide' : lane);
    for (const { element } of this.lanes.lanes) element.classList.toggle('active', element.dataset.track === lane);
  }

  whole() { this.lanes.setView(this.lanes.whole); }

  seek(time) {
    const { from, to } = this.lanes.view;
    if (time < from || time > to) this.whole();
    this.transport.seek(time);
  }

  show() {
    const playing = this.transport.isPlaying;
    this.root.classList.toggle('playing', playing);
    this.button.setAttribute('aria-label', `${playing ? 'Pause' : 'Play'} ${this.name}`);
    cancelAnimationFrame(this.frame);
    const step = () => {
      const time = this.transport.now();
      this.slider.value = time;
      this.slider.setAttribute('aria-valuetext', `${time.toFixed(1)} of ${this.transport.duration.toFixed(1)} seconds`);
      this.clock.textContent = `${time.toFixed(2)} s`;
      this.lanes.moveHead(time);
      if (this.transport.isPlaying) this.frame = requestAnimationFrame(step);
    };
    step();
  }

  save() {
    const track = this.tracks.find((candidate) => candidate.key === this.transport.active);
    if (!track.samples) visualmic.decode(track);
    const factor = Math.max(1, Math.ceil(8000 / track.rate));
    const link = document.createElement('a');
    link.href = URL.createObjectURL(visualmic.wavFile(visualmic.raised(track.samples, factor), track.rate * factor));
    link.download = `${this.name}_${track.key}.wav`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
};

(function () {
  async function fill(card) {
    if (card.dataset.filled) return;
    card.dataset.filled = 'yes';
    const body = card.querySelector('.body');
    const slug = card.dataset.recording;
    try {
      const recording = await visualmic.load(slug, card.dataset.file);
      body.innerHTML = recording.html;
      const heat = body.querySelector('.heat-toggle');
      if (heat) heat.addEventListener('change', () => { body.querySelector('.heat').hidden = !heat.checked; });
      const root = body.querySelector('.player');
      if (root) visualmic.players.set(slug, new visualmic.Player(root, recording));
      card.dataset.filled = 'ready';
    } catch (error) {
      body.textContent = `This recording cannot be shown: ${error.message}`;
      delete card.dataset.filled;
    }
  }

  for (const card of document.querySelectorAll('details.card')) {
    card.addEventListener('toggle', () => {
      const player = visualmic.players.get(card.dataset.recording);
      if (card.open) fill(card);
      else if (player) player.transport.pause();
    });
  }

  function open(slug) {
    const card = document.getElementById('card-' + slug);
    if (!card) return;
    card.hidden = false;
    card.open = true;
    card.scrollIntoView({ block: 'start' });
    card.querySelector('summary').focus({ preventScroll: true });
  }

  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-open]');
    if (link) open(link.dataset.open);
  });
  if (location.hash.startsWith('#card-')) open(location.hash.slice(6));
  else if (visualmic.page.featured) document.getElementById('card-' + visualmic.page.featured).open = true;
})();
