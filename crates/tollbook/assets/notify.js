// Alerts when a phone rings: a sound, a notification and a count in the title. Off until somebody clicks the button,
// because browsers play no sound before, and remembered for this browser.

const KEY = 'alerts';
const audio = new WeakMap();

const isOn = () => localStorage.getItem(KEY) === 'on';
const base = document.title;

function show() {
  const button = document.getElementById('alerts');
  if (!button) return;
  button.setAttribute('aria-pressed', String(isOn()));
  button.querySelector('span').textContent = isOn() ? button.dataset.on : button.dataset.off;
}

/** A browser allows sound only after a click or key; the first one of each page unlocks it. */
function unlock() {
  if (!isOn()) return;
  if (!audio.has(document)) audio.set(document, new AudioContext());
  audio.get(document).resume();
}

/** Two soft tones, twice. */
function chime() {
  const sound = audio.get(document);
  if (sound?.state !== 'running') return;
  for (const [at, tone] of [[0, 660], [0.18, 880], [0.7, 660], [0.88, 880]]) {
    const oscillator = new OscillatorNode(sound, { frequency: tone });
    const volume = new GainNode(sound, { gain: 0 });
    const start = sound.currentTime + at;
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(0.18, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.001, start + 0.3);
    oscillator.connect(volume).connect(sound.destination);
    oscillator.start(start);
    oscillator.stop(start + 0.32);
  }
}

/** Tells that a phone rings. Called in one tab only. */
export function ring(who, sentence, tag) {
  if (!isOn()) return;
  chime();
  if (!document.hidden || globalThis.Notification?.permission !== 'granted') return;
  const note = new Notification(who, { body: sentence, tag, icon: document.querySelector('link[rel=icon]')?.href });
  note.onclick = () => {
    focus();
    if (location.pathname !== '/') location.assign('/');
    note.close();
  };
}

/** Keeps the number of ringing phones in the title. */
export function countRinging() {
  const ringing = document.getElementById('ringing')?.children.length ?? 0;
  document.title = ringing ? `(${ringing}) ${base}` : base;
}

addEventListener('click', event => {
  if (!event.target.closest('#alerts')) return;
  localStorage.setItem(KEY, isOn() ? 'off' : 'on');
  unlock();
  show();
  if (!isOn()) return;
  chime();
  if (globalThis.Notification?.permission === 'default') Notification.requestPermission();
});
addEventListener('pointerdown', unlock);
addEventListener('keydown', unlock);
addEventListener('storage', event => event.key === KEY && show());
show();
countRinging();
