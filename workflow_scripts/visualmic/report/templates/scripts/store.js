// Data of the recordings: read when a card is opened, from the page itself or from a file beside it.
'use strict';
const visualmic = { waiting: new Map() };

visualmic.page = JSON.parse(document.getElementById('page-data').textContent);

// Files beside the page are scripts that call this: a page opened from disk may load scripts but
// not fetch data.
visualmic.receive = function (slug, recording) {
  const waiting = visualmic.waiting.get(slug);
  if (waiting) waiting.resolve(recording);
};

visualmic.load = function (slug, file) {
  if (!file) {
    const block = document.getElementById('data-' + slug);
    return Promise.resolve(JSON.parse(block.textContent));
  }
  return new Promise((resolve, reject) => {
    visualmic.waiting.set(slug, { resolve });
    const script = document.createElement('script');
    script.src = file;
    script.onerror = () => reject(new Error(file + ' is not there: keep it beside this page'));
    script.onload = () => script.remove();
    document.head.append(script);
  });
};
