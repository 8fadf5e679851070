// What every page needs. Every link and form works without it: scripts only save round trips and time.

import './swap.js';
import './live.js';
import './tick.js';
import './palette.js';
import './keys.js';
import './player.js';
import { toast } from './dom.js';

document.documentElement.classList.add('js');

// An update of a live row is the same for all who see it, so the session's token is put in here.
addEventListener('submit', event => {
  const form = event.target;
  const token = form.elements.namedItem('csrf');
  if (token && !token.value) token.value = document.querySelector('meta[name=csrf]').content;
  if (form.dataset.confirm && !confirm(form.dataset.confirm)) event.preventDefault();
}, true);

addEventListener('click', event => {
  const copy = event.target.closest('[data-copy]');
  if (copy) navigator.clipboard.writeText(copy.dataset.copy).then(() => toast(copy.dataset.done));
  if (event.target.closest('[data-print]')) print();
  // A menu closes when something else is clicked.
  for (const menu of document.querySelectorAll('details[name=menu][open]')) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

addEventListener('keydown', event => {
  const menu = event.key === 'Escape' && document.querySelector('details[name=menu][open]');
  if (menu) {
    menu.open = false;
    menu.querySelector('summary').focus();
  }
});

// Whoever copies a phone number out of a page gets it in international form.
addEventListener('copy', event => {
  const selection = getSelection();
  const range = selection.rangeCount ? selection.getRangeAt(0).commonAncestorContainer : null;
  const phone = (range instanceof Element ? range : range?.parentElement)?.closest('.phone');
  if (!phone || selection.toString().trim() !== phone.textContent.trim()) return;
  event.clipboardData.setData('text/plain', phone.dataset.e164);
  event.preventDefault();
});

// A link to a folded part unfolds it; paper shows everything.
const unfold = () => {
  const part = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (part instanceof HTMLDetailsElement) part.open = true;
};
addEventListener('hashchange', unfold);
unfold();
addEventListener('beforeprint', () => {
  for (const part of document.querySelectorAll('details.annex')) part.open = true;
});

for (const shown of document.querySelectorAll('#toasts .toast')) setTimeout(() => shown.remove(), 6000);
