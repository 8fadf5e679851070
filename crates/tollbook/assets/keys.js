// Single keys for people who live on the keyboard. They never fire inside a field, and `?` lists them.

const PREFIX_MS = 1500;
const page = document.body;

const rows = () => [...document.querySelectorAll('[data-row], [data-list]')].filter(it => it.checkVisibility());

function move(step) {
  const all = rows();
  const at = all.findIndex(it => it.contains(document.activeElement));
  const next = all[at < 0 && step > 0 ? 0 : Math.max(0, at + step)];
  const link = next?.querySelector('a.open, a, button');
  link?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}

function act(key) {
  if (key === '/') document.querySelector('main input[type=search]')?.focus();
  else if (key === 'j') move(1);
  else if (key === 'k') move(-1);
  else if (key === '?') document.getElementById('help')?.showModal();
  else document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.click();
}

addEventListener('keydown', event => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.key.length !== 1) return;
  if (event.target.closest('input, textarea, select, dialog, [contenteditable]')) return;
  const prefix = Date.now() - Number(page.dataset.prefixAt ?? 0) < PREFIX_MS ? 'g ' : '';
  delete page.dataset.prefixAt;
  if (event.key === 'g' && !prefix) {
    page.dataset.prefixAt = String(Date.now());
    return;
  }
  if (event.key === '/') event.preventDefault();
  act(prefix + event.key);
});
