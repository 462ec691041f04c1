// Tables that sort by a click on their head, the filter of the recordings, and buttons that copy.
'use strict';
visualmic.sortTable = function (table, column, descending) {
  const heads = [...table.tHead.rows[0].cells];
  const number = heads[column].classList.contains('number');
  const body = table.tBodies[0];
  const key = (row) => {
    const cell = row.cells[column];
    if (!number) return cell.textContent.trim();
    return cell.dataset.value === '' || cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };
  const words = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });
  const rows = [...body.rows].map((row) => ({ row, key: key(row) }));
  rows.sort((a, b) => {
    // What has no value stays at the end, whichever way the table is sorted.
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
    const order = number ? a.key - b.key : words.compare(a.key, b.key);
    return descending ? -order : order;
  });
  body.append(...rows.map((entry) => entry.row));
  heads.forEach((head, index) => {
    if (index === column) head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
    else head.removeAttribute('aria-sort');
  });
};

document.addEventListener('click', (event) => {
  const sort = event.target.closest('button.sort');
  if (sort) {
    const head = sort.closest('th');
    const before = head.getAttribute('aria-sort');
    // Numbers are asked for the largest first, names from A.
    const descending = before ? before === 'ascending' : head.classList.contains('number');
    visualmic.sortTable(head.closest('table'), head.cellIndex, descending);
  }
  const copy = event.target.closest('button.copy');
  if (copy) visualmic.copy(copy);
});

visualmic.copy = async function (button) {
  const text = button.dataset.copy;
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch (error) {
    // A page opened from disk may have no clipboard: the old way still works there.
    const area = document.createElement('textarea');
    area.value = text;
    button.after(area);
    area.select();
    done = document.execCommand('copy');
    area.remove();
    button.focus();
  }
  button.textContent = done ? 'Copied' : 'Select it';
  setTimeout(() => { button.textContent = 'Copy'; }, 1600);
};

(function () {
  const form = document.getElementById('filter');
  if (!form) return;
  const find = document.getElementById('find');
  const role = document.getElementById('role');
  const warned = document.getElementById('warned');
  const cards = [...document.querySelectorAll('details.card')];
  const rows = new Map([...document.querySelectorAll('#overview tr[data-recording]')]
    .map((row) => [row.dataset.recording, row]));

  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of cards) {
      const text = card.dataset.words;
      const fits = words.every((word) => text.includes(word))
        && (!role || !role.value || card.dataset.role === role.value)
        && (!warned.checked || card.querySelector('summary .chip'));
      card.hidden = !fits;
      rows.get(card.dataset.recording).hidden = !fits;
      shown += fits ? 1 : 0;
    }
    document.getElementById('shown').textContent = `${shown} of ${cards.length} shown`;
  }
  form.addEventListener('input', filter);
  form.addEventListener('submit', (event) => event.preventDefault());
})();
