// Parts of a page: <form data-swap="list"> and <a data-swap="list"> fetch their address, ask for that part only, and
// put it in place of the element with that id. A newer request aborts the older one.

import { elements, replace, signIn, toast } from './dom.js';

const running = new WeakMap();
const typing = new WeakMap();

/** Fetches `address` and replaces `box` by its part `id`; with `remember`, the address becomes the page's. */
export async function swap(address, id, box, remember) {
  running.get(document)?.abort();
  const request = new AbortController();
  running.set(document, request);
  box.setAttribute('aria-busy', 'true');
  try {
    const response = await fetch(address, { headers: { 'x-fragment': id }, signal: request.signal });
    const signedOut = response.redirected && new URL(response.url).pathname === '/login';
    if (response.status === 401 || signedOut) return signIn();
    if (!response.ok) throw new Error(String(response.status));
    const part = find(await response.text(), id);
    if (part && remember) {
      replace(box, part);
      history.replaceState(null, '', address);
    } else if (part && box.id !== id) {
      box.replaceChildren(part);
      part.removeAttribute('id');
    } else if (part) {
      replace(box, part);
    }
  } catch (error) {
    if (error.name !== 'AbortError') toast(document.getElementById('toasts')?.dataset.offline);
  } finally {
    if (running.get(document) === request) box.removeAttribute('aria-busy');
  }
}

/** The part in an answer, which is either the part alone or a whole page. */
function find(html, id) {
  const [first] = elements(html);
  if (first?.id === id) return first;
  return new DOMParser().parseFromString(html, 'text/html').getElementById(id);
}

/** The address of a form's query without its empty fields. */
function addressOf(form) {
  const query = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...query]) if (!value) query.delete(name);
  const address = new URL(form.action);
  address.search = query.toString();
  return address.href;
}

/** Runs a form's query. */
export function submit(form) {
  const id = form.dataset.swap;
  const box = document.getElementById(form.dataset.into ?? id);
  return box && swap(addressOf(form), id, box, !form.dataset.into);
}

addEventListener('input', event => {
  const form = event.target.form;
  if (!form?.dataset.swap) return;
  clearTimeout(typing.get(form));
  typing.set(form, setTimeout(() => submit(form), 150));
});

addEventListener('submit', event => {
  const form = event.target;
  if (form.dataset.swap) {
    event.preventDefault();
    clearTimeout(typing.get(form));
    submit(form);
  } else if (form.dataset.quiet !== undefined && !event.defaultPrevented) {
    event.preventDefault();
    send(form);
  }
});

/** Posts a form without leaving the page: a note is saved while the phone rings. */
async function send(form) {
  const words = document.getElementById('toasts').dataset;
  try {
    const response = await fetch(form.action, { method: 'post', body: new URLSearchParams(new FormData(form)) });
    if (response.status === 401) return signIn();
    if (!response.ok) throw new Error(String(response.status));
    form.reset();
    form.closest('details')?.removeAttribute('open');
    toast(form.dataset.quiet);
  } catch (error) {
    toast(error instanceof TypeError ? words.offline : words.refused);
  }
}

addEventListener('click', event => {
  const link = event.target.closest('a[data-swap]');
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  const box = document.getElementById(link.dataset.swap);
  if (!box) return;
  event.preventDefault();
  swap(link.href, link.dataset.swap, box, true).then(() => document.getElementById(link.dataset.swap)?.scrollIntoView());
});
