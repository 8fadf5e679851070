// Live updates. One event stream per browser, not per tab: the tab that holds the lock reads it and passes every
// event on; when it closes, the next tab takes over after the last event it has seen. Each event carries elements
// with ids: one that is on the page is replaced, one that names a list of the page is moved or added there.
//
// Events: `put` (elements), `gone` (an id), `resync` (read the page again), and `beat` (the server's clock in
// milliseconds, every 15 s). A stream that has been beating and falls silent is opened anew.

import { elements, replace, signIn, toast } from './dom.js';
import { swap } from './swap.js';
import { countRinging, ring } from './notify.js';

const SILENCE_MAX_MS = 40_000;
const WAIT_MAX_MS = 15_000;
const TOLD_MAX = 100;

const page = document.body;
if (page.dataset.stream) start(new URL(page.dataset.stream, location.href));

function start(stream) {
  remember();
  page.dataset.last = stream.searchParams.get('after') ?? '';
  const name = `live:${stream.pathname}`;
  const channel = new BroadcastChannel(name);
  const share = message => {
    take(message);
    channel.postMessage(message);
  };
  channel.onmessage = ({ data }) => {
    if (data.type === 'ask' && page.dataset.leader) {
      channel.postMessage({ type: 'link', data: page.dataset.link });
      channel.postMessage({ type: 'at', id: page.dataset.last });
    } else if (data.type !== 'ask') {
      take(data);
    }
  };
  channel.postMessage({ type: 'ask' });
  const lead = () => {
    page.dataset.leader = 'yes';
    return new Promise(() => read(stream, share));
  };
  // Locks exist only on https and localhost; elsewhere each tab reads for itself.
  if (navigator.locks) navigator.locks.request(name, lead);
  else lead();
}

/** Reads the stream for ever, and again whenever it breaks or falls silent. */
function read(stream, share) {
  let wait = 500;
  let heard = Date.now();
  let beats = false;
  let source = null;
  const link = state => share({ type: 'link', data: navigator.onLine ? state : 'offline' });
  const open = () => {
    if (page.dataset.last) stream.searchParams.set('after', page.dataset.last);
    source = new EventSource(stream);
    heard = Date.now();
    source.onopen = () => {
      wait = 500;
      heard = Date.now();
      link('live');
    };
    source.onerror = () => {
      link('reconnecting');
      // The browser tries again by itself unless the answer was an error.
      if (source.readyState === EventSource.CLOSED) again();
    };
    for (const type of ['put', 'gone', 'beat', 'resync']) {
      source.addEventListener(type, event => {
        heard = Date.now();
        beats ||= type === 'beat';
        share({ type, data: event.data, id: event.lastEventId });
      });
    }
  };
  const again = () => {
    source.close();
    setTimeout(() => refused(stream).then(is => (is ? signIn() : open())), wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, WAIT_MAX_MS);
  };
  setInterval(() => {
    if (!beats || Date.now() - heard < SILENCE_MAX_MS || source.readyState === EventSource.CLOSED) return;
    link('reconnecting');
    again();
  }, 5_000);
  addEventListener('offline', () => link('offline'));
  addEventListener('online', () => link('reconnecting'));
  addEventListener('pagehide', () => source.close());
  link('connecting');
  open();
}

/** Whether the server wants a new sign-in; an event stream does not tell why it was closed. */
async function refused(stream) {
  const peek = new AbortController();
  try {
    const response = await fetch(stream, { headers: { accept: 'text/event-stream' }, signal: peek.signal });
    return response.status === 401;
  } catch {
    return false;
  } finally {
    peek.abort();
  }
}

/** Applies one event to this tab. */
function take({ type, data, id }) {
  if (type === 'at') {
    // The page is older than what the other tabs have seen, and this tab heard nothing of what was between.
    if (Number.parseInt(id, 10) > Number.parseInt(page.dataset.last || id, 10)) resync();
    page.dataset.last = id;
    return;
  }
  if (id) page.dataset.last = id;
  if (type === 'put') elements(data).forEach(place);
  if (type === 'gone') document.getElementById(data)?.remove();
  if (type === 'beat' && Number(data)) Object.assign(page.dataset, { now: data, heard: String(Date.now()) });
  if (type === 'resync') resync();
  if (type === 'link') show(data);
  countRinging();
}

function resync() {
  const content = document.getElementById('content');
  if (content?.dataset.live !== undefined) swap(location.href, 'content', content, false).then(() => show(page.dataset.link));
}

/** Puts one element where it belongs. */
function place(fresh) {
  const old = document.getElementById(fresh.id);
  const list = fresh.dataset.list && document.getElementById(fresh.dataset.list);
  if (fresh.dataset.announce) announce(fresh, !list);
  else document.querySelector(`[data-ringing="${CSS.escape(fresh.id)}"]`)?.remove();
  if (!list) {
    if (old && !fresh.dataset.list) replace(old, fresh);
    return;
  }
  if (old?.parentElement === list) return replace(old, fresh);
  // Who waits longest stays on top; of everything else the newest is on top.
  const insert = () => (list.id === 'ringing' || list.id === 'agents' ? list.append(fresh) : list.prepend(fresh));
  fresh.classList.add('fresh');
  if (old) replace(old, fresh, insert);
  else insert();
  while (list.dataset.most && list.children.length > Number(list.dataset.most)) list.lastElementChild.remove();
}

/** A phone rings: one sentence for screen readers, one alert for everybody, and each call only once. */
function announce(fresh, isElsewhere) {
  const told = document.getElementById('announcer');
  const ids = told.dataset.told?.split(' ') ?? [];
  if (ids.includes(fresh.id)) return;
  told.dataset.told = [...ids, fresh.id].slice(-TOLD_MAX).join(' ');
  const sentence = fresh.dataset.announce;
  if (isElsewhere) toast(sentence, '/').dataset.ringing = fresh.id;
  else told.textContent = sentence;
  if (page.dataset.leader) ring(fresh.dataset.who, sentence, fresh.id);
}

/** What rings when the page is opened is read like everything else on it. */
function remember() {
  const ringing = document.querySelectorAll('#ringing > [id]');
  document.getElementById('announcer').dataset.told = [...ringing].map(it => it.id).join(' ');
}

function show(state) {
  page.dataset.link = state;
  const pill = document.getElementById('link');
  if (!pill) return;
  pill.hidden = false;
  pill.textContent = pill.dataset[state];
  pill.className = `pill ${{ live: 'good', offline: 'bad', reconnecting: 'warn' }[state] ?? 'quiet'}`;
}
