// Clocks that go on between updates. They count from the server's instants by the server's clock: the page says what
// time it was there and how fast it goes, and the stream corrects it. Money never ticks; it comes from the server.

const page = document.body;
page.dataset.heard = String(Date.now());

/** `0:45`, `21:40`, `1:02:03`, as the server writes it. */
function clock(seconds) {
  const two = number => String(number).padStart(2, '0');
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

function tick() {
  const now = Number(page.dataset.now) + (Date.now() - Number(page.dataset.heard)) * Number(page.dataset.pace ?? 1);
  for (const it of document.querySelectorAll('.tick')) {
    const elapsed = Math.max(0, Math.floor((now - Number(it.dataset.since)) / 1000));
    const left = it.dataset.seconds === undefined ? null : Number(it.dataset.seconds) - elapsed;
    const shown = clock(left === null ? elapsed : Math.max(0, left));
    if (it.textContent !== shown) it.textContent = shown;
    if (left !== null) it.classList.toggle('spent', left <= 0);
  }
}

setInterval(tick, 1000);
tick();
