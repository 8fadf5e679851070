// All browser tests, against one running demo.

import { after, before } from 'node:test';
import { startBrowser, startDemo } from './harness.js';
import { keyboard } from './suites/keyboard.js';
import { live } from './suites/live.js';
import { pages } from './suites/pages.js';
import { withoutScripts } from './suites/without-scripts.js';

const world = {};

before(async () => {
  world.demo = await startDemo();
  world.browser = await startBrowser();
});

after(async () => {
  await world.browser?.close();
  await world.demo?.stop();
});

live(world);
pages(world);
keyboard(world);
withoutScripts(world);
