// What a mouse, a finger, a pen and the keyboard do on the pictures of a recording.
'use strict';
visualmic.gestures = function (lanes, player) {
  const CLICK = 5;
  const touches = new Map();
  const selection = lanes.root.querySelector('.selection');
  let drag = null;

  const laneOf = (target) => lanes.lanes.find((lane) => lane.plot.contains(target));

  lanes.root.addEventListener('pointerdown', (event) => {
    const lane = laneOf(event.target);
    if (!lane || event.button !== 0) return;
    event.preventDefault();
    lanes.root.focus({ preventScroll: true });
    touches.set(event.pointerId, event.clientX);
    drag = { lane, x: event.clientX, y: event.clientY, view: { ...lanes.view }, touch: event.pointerType === 'touch', moved: false };
    if (drag.touch && touches.size === 2) drag.spread = spread();
    lane.plot.setPointerCapture(event.pointerId);
  });

  lanes.root.addEventListener('pointermove', (event) => {
    readout(event);
    if (!drag || !touches.has(event.pointerId)) return;
    touches.set(event.pointerId, event.clientX);
    drag.moved = drag.moved || Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > CLICK;
    if (!drag.moved) return;
    if (drag.touch) moveByTouch(event);
    else showSelection(event);
  });

  function spread() {
    const [a, b] = [...touches.values()];
    return Math.max(20, Math.abs(a - b));
  }

  function moveByTouch(event) {
    const { from, to } = drag.view;
    if (touches.size === 2 && drag.spread) {
      const factor = drag.spread / spread();
      const middle = (from + to) / 2;
      lanes.setView({ ...lanes.view, from: middle - (middle - from) * factor, to: middle + (to - middle) * factor });
    } else if (touches.size === 1) {
      const step = ((drag.x - event.clientX) / lanes.span.width) * (to - from);
      const room = step < 0 ? lanes.whole.from - from : lanes.whole.to - to;
      const moved = Math.abs(step) < Math.abs(room) ? step : room;
      lanes.setView({ ...lanes.view, from: from + moved, to: to + moved });
    }
  }

  // A flat drag chooses a time, a tall one a band of frequencies as well.
  function chosen(event) {
    const box = drag.lane.plot.getBoundingClientRect();
    const within = (value, low, high) => Math.min(Math.max(value, low), high);
    const x = [drag.x, within(event.clientX, box.left, box.right)].sort((a, b) => a - b);
    const tall = Math.abs(event.clientY - drag.y) > 14 && lanes.mode !== 'waveform';
    const y = tall ? [drag.y, within(event.clientY, box.top, box.bottom)].sort((a, b) => a - b) : [box.top, box.bottom];
    return { x, y, tall };
  }

  function showSelection(event) {
    const { x, y } = chosen(event);
    const outer = lanes.root.getBoundingClientRect();
    selection.hidden = false;
    Object.assign(selection.style, {
      left: `${x[0] - outer.left}px`,
      width: `${x[1] - x[0]}px`,
      top: `${y[0] - outer.top}px`,
      height: `${y[1] - y[0]}px`,
    });
  }

  lanes.root.addEventListener('pointerup', (event) => {
    touches.delete(event.pointerId);
    if (!drag) return;
    if (!drag.moved) player.seek(lanes.timeAt(event.clientX));
    else if (!drag.touch) {
      const { x, y, tall } = chosen(event);
      if (x[1] - x[0] > CLICK) {
        lanes.setView({
          from: lanes.timeAt(x[0]),
          to: lanes.timeAt(x[1]),
          low: tall ? lanes.frequencyAt(drag.lane, y[1]) : lanes.view.low,
          high: tall ? lanes.frequencyAt(drag.lane, y[0]) : lanes.view.high,
        });
      }
    }
    end();
  });
  lanes.root.addEventListener('pointercancel', (event) => {
    touches.delete(event.pointerId);
    end();
  });

  function end() {
    if (touches.size === 0) drag = null;
    selection.hidden = true;
  }

  lanes.root.addEventListener('dblclick', (event) => { if (laneOf(event.target)) player.whole(); });

  // The page scrolls as usual; with Ctrl, or two fingers on a touch pad, the wheel zooms.
  lanes.root.addEventListener('wheel', (event) => {
    if (!event.ctrlKey || !laneOf(event.target)) return;
    event.preventDefault();
    lanes.zoom(Math.exp(0.004 * Math.max(-120, Math.min(120, event.deltaY))), lanes.timeAt(event.clientX));
  }, { passive: false });

  function readout(event) {
    const lane = laneOf(event.target);
    if (!lane) return;
    const time = `${lanes.timeAt(event.clientX).toFixed(3)} s`;
    player.readout.textContent = lanes.mode === 'waveform' ? time
      : `${time}, ${Math.round(lanes.frequencyAt(lane, event.clientY))} Hz`;
  }
  lanes.root.addEventListener('pointerleave', () => { player.readout.textContent = ''; });

  player.root.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const field = event.target.matches('select, input[type=range], input[type=checkbox], button');
    const onLanes = lanes.root.contains(event.target) && !event.target.matches('button');
    const actions = { '+': () => lanes.zoom(0.5), '=': () => lanes.zoom(0.5), '-': () => lanes.zoom(2), 0: () => player.whole() };
    if (onLanes) actions[' '] = () => player.transport.toggle();
    if (event.target === lanes.root) {
      const step = (lanes.view.to - lanes.view.from) / 20;
      actions.ArrowLeft = () => (event.shiftKey ? lanes.pan(-0.25) : player.seek(player.transport.now() - step));
      actions.ArrowRight = () => (event.shiftKey ? lanes.pan(0.25) : player.seek(player.transport.now() + step));
      actions.Home = () => player.seek(lanes.view.from);
    }
    const digit = Number(event.key);
    if (digit >= 1 && digit <= player.picks.length) actions[event.key] = () => player.pick(digit - 1);
    const action = actions[event.key];
    if (!action || (field && event.target.matches('select'))) return;
    event.preventDefault();
    action();
  });
};
