// What a team looks at all day: rows that appear, move and end by themselves.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { SCREENSHOTS, signIn } from '../harness.js';

/** The demo's traffic is random; a call comes well within this. */
const CALL_MAX_MS = 120_000;

const NOTICES = [
  /^Subscriber calling - \d+\.\d hours remaining$/,
  /^Subscriber calling - hours used up, billed as overage$/,
  /^Non-subscriber calling - will be billed$/,
  /^Subscription expired - switching to per-call$/,
];

export function live(world) {
  describe('live', () => {
    let context;
    let page;

    before(async () => {
      await mkdir(SCREENSHOTS, { recursive: true });
      const viewport = { width: 1440, height: 900 };
      context = await world.browser.newContext({ baseURL: world.demo.address, viewport });
      page = await context.newPage();
      await signIn(page, world.demo);
      await isLive(page);
    });

    after(() => context.close());

    test('a ringing call appears with its notice and is announced once', async () => {
      const call = await nextRinging(page);
      // The README's picture: copied to docs/live.png when the page changes.
      await page.screenshot({ path: `${SCREENSHOTS}ringing.png` });
      const { announced, notice } = await call.evaluate(it => ({
        announced: it.dataset.announce,
        notice: it.querySelector('.notice b')?.textContent ?? '',
      }));
      assert.ok(announced.length > 0 && announced.length < 160, announced);
      assert.ok(NOTICES.some(it => it.test(notice)) || /customers have this number/.test(notice), notice);
    });

    test('the same call goes on to another list', async () => {
      const call = await nextRinging(page);
      const id = await call.getAttribute('id');
      const elsewhere = page.locator(`#talking > [id="${id}"], #ended > [id="${id}"]`);
      await elsewhere.waitFor({ timeout: CALL_MAX_MS });
      assert.equal(await page.locator(`[id="${id}"]`).count(), 1);
    });

    test('the clock of a conversation goes on between updates', async () => {
      const clock = page.locator('#talking .figures time.tick').first();
      await clock.waitFor({ timeout: CALL_MAX_MS });
      const before = await clock.evaluate(it => [it.closest('[id^="call-"]').id, it.textContent]);
      await page.waitForFunction(([id, text]) => {
        const now = document.getElementById(id)?.querySelector('time.tick')?.textContent;
        return now !== text;
      }, before, { timeout: 10_000 });
    });

    test('a call that ended shows its outcome', async () => {
      const ended = page.locator('#ended > [id^="call-"]').first();
      await ended.waitFor({ timeout: CALL_MAX_MS });
      const outcome = (await ended.locator('.party small').textContent()).trim();
      assert.match(outcome, /^(Completed|Missed|No answer|Voicemail|Failed)/);
    });

    test('a second tab shares the stream and is live too', async () => {
      const second = await context.newPage();
      const streams = [];
      second.on('request', request => request.resourceType() === 'eventsource' && streams.push(request.url()));
      await second.goto('/');
      await isLive(second);
      assert.deepEqual(streams, []);
      await nextRinging(second);
      await second.close();
    });

    test('another page says that a phone rings', async () => {
      const second = await context.newPage();
      await second.goto('/customers');
      const toast = second.locator('.toast').first();
      await toast.waitFor({ timeout: CALL_MAX_MS });
      assert.equal(await toast.getAttribute('href'), '/');
      await second.close();
    });

    test('focus stays on a row that is replaced', async () => {
      const row = page.locator('#talking > [id^="call-"] a.open').first();
      await row.waitFor({ timeout: CALL_MAX_MS });
      await row.focus();
      const id = await page.evaluate(() => {
        const element = document.activeElement.closest('[id^="call-"]');
        element.dataset.old = 'yes';
        return element.id;
      });
      await page.waitForFunction(it => !document.getElementById(it)?.dataset.old, id, { timeout: CALL_MAX_MS });
      const isInside = await page.evaluate(it => {
        const element = document.getElementById(it);
        return element ? element.contains(document.activeElement) : true;
      }, id);
      assert.ok(isInside);
    });
  });
}

function isLive(page) {
  return page.waitForFunction(() => document.body.dataset.link === 'live', null, { timeout: 60_000 });
}

/** A call that begins to ring from now on. */
async function nextRinging(page) {
  const known = await page.locator('[id^="call-"]').evaluateAll(all => all.map(it => it.id));
  const found = await page.waitForFunction(ids => {
    const call = [...document.querySelectorAll('#ringing > [id^="call-"]')].find(it => !ids.includes(it.id));
    return call ?? null;
  }, known, { timeout: CALL_MAX_MS });
  return found.asElement();
}
