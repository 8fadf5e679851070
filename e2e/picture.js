// Takes the README's picture of the live page: `npm run picture` writes docs/live.png.

import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { SIZES, signIn, startBrowser, startDemo } from './harness.js';

const PICTURE = fileURLToPath(new URL('../docs/live.png', import.meta.url));
const WAIT_MAX_MS = 300_000;

const demo = await startDemo();
const browser = await startBrowser();
try {
  const page = await browser.newPage({ viewport: SIZES.wide, deviceScaleFactor: 2, reducedMotion: 'reduce' });
  await signIn(page, demo);
  // A subscriber rings while others talk: the page at its fullest.
  await page.waitForFunction(() => {
    const isKnown = document.querySelector('#ringing .ring.good .recent li');
    return isKnown && document.querySelectorAll('#talking > li').length >= 2;
  }, null, { timeout: WAIT_MAX_MS });
  await mkdir(fileURLToPath(new URL('../docs/', import.meta.url)), { recursive: true });
  await page.screenshot({ path: PICTURE });
} finally {
  await browser.close();
  await demo.stop();
}
