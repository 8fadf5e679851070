// The command palette: the search page's results in a dialog. Ctrl or ⌘ with K opens it, arrows move, Enter opens.

import { submit } from './swap.js';

const palette = document.getElementById('palette');

function open() {
  if (!palette || palette.open) return;
  palette.showModal();
  const form = palette.querySelector('form');
  form.elements.namedItem('q').select();
  submit(form);
}

addEventListener('keydown', event => {
  if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    open();
  }
});

addEventListener('click', event => {
  const opener = event.target.closest('[data-dialog=palette]');
  if (!opener || !palette || event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  open();
});

palette?.addEventListener('keydown', event => {
  const links = [...palette.querySelectorAll('a[href]')];
  const input = palette.querySelector('input');
  const at = links.indexOf(document.activeElement);
  if (event.key === 'ArrowDown') (links[at + 1] ?? links[0] ?? input).focus();
  else if (event.key === 'ArrowUp') (links[at - 1] ?? input).focus();
  else if (event.key === 'Enter' && at < 0 && links[0]) links[0].click();
  else return;
  event.preventDefault();
});

// A click beside the dialog closes it.
palette?.addEventListener('click', event => {
  if (event.target === palette) palette.close();
});
