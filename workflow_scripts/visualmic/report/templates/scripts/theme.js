// Light, dark or as the system says; runs before the page is drawn so that it never flashes.
'use strict';
(function () {
  const NAMES = { auto: 'Auto', light: 'Light', dark: 'Dark' };
  let theme = 'auto';
  // Storage is refused to local files by some browsers: then the choice lasts while the page is open.
  try { theme = localStorage.getItem('visualmic-theme') || 'auto'; } catch (error) { /* not kept */ }

  function apply() {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }
  apply();

  addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const say = () => {
      button.querySelector('span').textContent = NAMES[theme];
      button.setAttribute('aria-label', 'Colours: ' + (theme === 'auto' ? 'as the system' : theme));
    };
    button.hidden = false;
    say();
    button.addEventListener('click', () => {
      const order = Object.keys(NAMES);
      theme = order[(order.indexOf(theme) + 1) % order.length];
      try { localStorage.setItem('visualmic-theme', theme); } catch (error) { /* not kept */ }
      apply();
      say();
      document.dispatchEvent(new CustomEvent('themechange'));
    });
  });
})();
