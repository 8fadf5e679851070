// Replacing parts of a page without anyone noticing: focus, unfolded parts and half-written text stay.

const FOCUSABLE = 'a[href], button, input, select, textarea, summary';

/** The elements of a piece of HTML. */
export function elements(html) {
  const template = document.createElement('template');
  template.innerHTML = html;
  return [...template.content.children];
}

/** Puts `fresh` where `old` was, or at the place that `insert` chooses, and keeps what the person was doing. */
export function replace(old, fresh, insert = () => old.replaceWith(fresh)) {
  const active = old.contains(document.activeElement) ? document.activeElement : null;
  const place = active ? [...old.querySelectorAll(FOCUSABLE)].indexOf(active) : -1;
  for (const part of old.querySelectorAll('details[id][open]')) {
    const again = byId(fresh, part.id);
    if (again) again.open = true;
  }
  for (const part of old.querySelectorAll('[data-keep]')) {
    const again = byId(fresh, part.id);
    if (!again || !(part.contains(active) || isWritten(part))) continue;
    for (let fold = again.closest('details'); fold; fold = fold.parentElement?.closest('details')) fold.open = true;
    again.replaceWith(part);
  }
  insert();
  if (old.isConnected && old !== fresh) old.remove();
  if (!active || active === document.activeElement) return;
  const candidates = [...fresh.querySelectorAll(FOCUSABLE)];
  const next = fresh.contains(active) ? active : byId(fresh, active.id) ?? candidates[place] ?? candidates[0];
  next?.focus({ preventScroll: true });
}

function byId(root, id) {
  return id ? root.querySelector(`#${CSS.escape(id)}`) : null;
}

function isWritten(part) {
  return [...part.querySelectorAll('input, textarea')].some(field => field.value !== field.defaultValue);
}

/** A sentence in the corner, read out politely, gone after a while. */
export function toast(sentence, href) {
  const box = document.getElementById('toasts');
  if (!box || !sentence) return null;
  const note = document.createElement(href ? 'a' : 'p');
  note.className = 'toast';
  note.textContent = sentence;
  if (href) note.href = href;
  box.append(note);
  setTimeout(() => note.remove(), href ? 20000 : 6000);
  return note;
}

/** Goes to the sign-in page and back here afterwards. */
export function signIn() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}
