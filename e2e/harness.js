// Starts the demo in a folder of its own, and a browser to look at it.

import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const PROGRAM = process.env.TOLLBOOK ?? fileURLToPath(new URL('../target/debug/tollbook', import.meta.url));
const BROWSER = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** A debug build makes a database and a month of calls before it listens. */
const START_MAX_MS = 480_000;
/** Minutes of traffic that pass in one. */
const SPEED = '30';

/** Where pictures of every page go. */
export const SCREENSHOTS = fileURLToPath(new URL('./screenshots/', import.meta.url));

/** The running product: its address, whom to sign in as, and how to stop it. */
export async function startDemo() {
  const folder = await mkdtemp(path.join(tmpdir(), 'tollbook-e2e-'));
  // As root, the database runs as another user, who has to enter.
  await chmod(folder, 0o755);
  const args = ['demo', '--listen', '127.0.0.1:0', '--data-dir', folder, '--speed', SPEED];
  const program = spawn(PROGRAM, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = [];
  const ended = new Promise(resolve => program.once('exit', resolve));
  const stop = async () => {
    program.kill('SIGINT');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const started = new Promise((resolve, reject) => {
    const hear = chunk => {
      said.push(String(chunk));
      const found = read(said.join(''));
      if (found) resolve(found);
    };
    program.stdout.on('data', hear);
    program.stderr.on('data', hear);
    program.once('error', reject);
    ended.then(code => reject(new Error(`the demo ended with ${code}:\n${said.join('')}`)));
    setTimeout(() => reject(new Error(`the demo is not listening:\n${said.join('')}`)), START_MAX_MS).unref();
  });
  try {
    return { ...(await started), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Address and sign-ins from what the demo prints, once the past has been played and the phones ring. */
export function read(said) {
  const address = /listening on (http:\/\/\S+)/.exec(said)?.[1];
  const lines = said.matchAll(/sign in as (\S+) with password (\S+) \(([^)]+)\)/g);
  const signIns = [...lines].map(([, email, password, role]) => ({ email, password, role }));
  const isLive = said.includes('live traffic begins');
  return address && signIns.length && isLive ? { address, signIns } : null;
}

/** A browser without anything that phones home. */
export function startBrowser() {
  const quiet = ['disable-background-networking', 'disable-component-update', 'disable-sync', 'no-first-run'];
  const args = ['no-sandbox', 'disable-gpu', ...quiet].map(it => `--${it}`);
  return chromium.launch({ executablePath: BROWSER, args });
}

/** The sign-in of an organization's administrator. */
export function administrator(demo) {
  const isAdministrator = ({ role }) => /admin/i.test(role) && !/platform/i.test(role);
  return demo.signIns.find(isAdministrator) ?? demo.signIns[0];
}

/** The sign-in of the platform's administrator. */
export function platform(demo) {
  return demo.signIns.find(({ role }) => /platform/i.test(role));
}

/** Signs in through the form. */
export async function signIn(page, demo, who = administrator(demo)) {
  await page.goto(`${demo.address}/login`);
  await page.fill('[name=email]', who.email);
  await page.fill('[name=password]', who.password);
  await page.click('button.primary');
  await page.waitForURL(`${demo.address}/`);
}

/** Sizes at which every page is looked at. */
export const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 360, height: 740 } };
