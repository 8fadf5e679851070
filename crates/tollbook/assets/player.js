// The transcript follows the recording, and a click on a line plays from there. Following stops while somebody
// scrolls by hand, and goes on at the next click.

const sound = document.querySelector('.player audio');
const list = document.querySelector('.transcript');
const lines = list ? [...list.querySelectorAll('[data-start]')] : [];

if (sound && list) {
  sound.addEventListener('timeupdate', () => {
    const at = sound.currentTime * 1000;
    const current = lines.findLast(line => Number(line.dataset.start) <= at);
    for (const line of lines) {
      if (line === current) line.setAttribute('aria-current', 'true');
      else line.removeAttribute('aria-current');
    }
    if (current && list.dataset.free === undefined && !sound.paused) {
      list.scrollTo({ top: current.offsetTop - list.offsetTop - list.clientHeight / 3 });
    }
  });
  for (const type of ['wheel', 'touchmove']) {
    list.addEventListener(type, () => { list.dataset.free = ''; }, { passive: true });
  }
  list.addEventListener('click', event => {
    const line = event.target.closest('.seek')?.closest('[data-start]');
    if (!line) return;
    delete list.dataset.free;
    sound.currentTime = Number(line.dataset.start) / 1000;
    sound.play();
  });
}

document.querySelector('[data-speed]')?.addEventListener('change', event => {
  sound.playbackRate = Number(event.target.value);
});
