// Every page at both sizes and in both colours: it fits, nothing fails, and axe finds nothing.

import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { SCREENSHOTS, SIZES, platform, signIn } from '../harness.js';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** How to get to each page from a signed-in start. */
const PAGES = {
  live: page => page.goto('/'),
  communications: page => page.goto('/communications'),
  call: page => openFirst(page, '/communications?tab=calls'),
  'call-move': page => openCorrection(page, 'move?q=a'),
  'call-waive': page => openCorrection(page, 'waive'),
  alerts: page => page.goto('/alerts'),
  customers: page => page.goto('/customers'),
  customer: page => openFirst(page, '/customers'),
  invoices: page => page.goto('/invoices'),
  invoice: page => openFirst(page, '/invoices'),
  'invoice-payment': page => openAct(page, 'payment'),
  'invoice-credit-note': page => openAct(page, 'credit-note'),
  'invoice-void': page => openAct(page, 'void'),
  onboard: page => page.goto('/ops/numbers/onboard'),
  search: page => page.goto('/search?q=a'),
  'nothing-here': page => page.goto('/nothing-here'),
};

async function openFirst(page, list) {
  await page.goto(list);
  await page.locator('[data-row] a.open').first().click();
  await page.waitForLoadState();
}

/** What an act would change of an open invoice, before it is confirmed. */
async function openAct(page, act) {
  await openFirst(page, '/invoices?tab=open');
  await page.goto(`${page.url()}/${act}`);
  const reason = page.locator('[name=reason]');
  if (await reason.count()) await reason.fill('Agreed on the phone');
  await page.locator('form.stack button').first().click();
  await page.locator('#content table.list').waitFor();
}

/** What a correction of a call would come to, before it is confirmed. */
async function openCorrection(page, act) {
  await openFirst(page, '/communications?tab=calls');
  await page.goto(`${page.url()}/${act}`);
  const form = page.locator('form.stack:has([name=reason])').first();
  await form.locator('[name=reason]').fill('Agreed on the phone');
  await form.locator('button').click();
  await page.locator('section[aria-labelledby=effect-title] form.stack').waitFor();
}

export function pages(world) {
  describe('pages', () => {
    for (const [size, viewport] of Object.entries(SIZES)) {
      for (const colorScheme of ['light', 'dark']) {
        test(`all of them, ${size} and ${colorScheme}`, async t => {
          await mkdir(SCREENSHOTS, { recursive: true });
          const context = await open(world, { viewport, colorScheme });
          const page = await context.newPage();
          const failed = failures(page);
          await signIn(page, world.demo);
          for (const [name, go] of Object.entries(PAGES)) {
            await t.test(name, async () => {
              await go(page);
              await look(page, `${name}-${size}-${colorScheme}`);
              assert.deepEqual(failed.splice(0).filter(it => !(name === 'nothing-here' && /404/.test(it))), []);
            });
          }
          await context.close();
        });
      }
    }

    test('signing in', async t => {
      for (const [size, viewport] of Object.entries(SIZES)) {
        const context = await open(world, { viewport });
        const page = await context.newPage();
        await t.test(`the form, ${size}`, async () => {
          await page.goto('/login');
          await look(page, `login-${size}`);
        });
        await t.test(`a wrong password keeps the address, ${size}`, async () => {
          await page.fill('[name=email]', 'nobody@example.org');
          await page.fill('[name=password]', 'wrong');
          await page.click('button.primary');
          await page.locator('[role=alert]').waitFor();
          assert.equal(await page.inputValue('[name=email]'), 'nobody@example.org');
          await look(page, `login-refused-${size}`);
        });
        await context.close();
      }
    });

    test('a number is mapped, and mapped again, and a refused form loses nothing', async () => {
      for (const [size, viewport] of Object.entries(SIZES)) {
        const context = await open(world, { viewport });
        const page = await context.newPage();
        await signIn(page, world.demo, platform(world.demo));
        await page.goto('/ops/numbers/onboard');
        const fill = async (sid, number) => {
          await page.getByLabel('Tenant ID').fill(`tenant-${size}`);
          await page.getByLabel('Twilio Number SID').fill(sid);
          await page.getByLabel('Phone Number (E.164)').fill(number);
          await page.getByLabel('Number Type').selectOption('Voice');
          await page.getByRole('button', { name: 'Map Number for Billing' }).click();
        };
        const sid = `PN${size.padEnd(32, 'x')}`;
        const number = size === 'wide' ? '+12505551234' : '+12505551235';
        const evidence = `✅ Mapped ${number} to tenant and initialized usage counters`;
        await fill(sid, number);
        await page.getByText(evidence, { exact: true }).waitFor();
        await page.getByText('Number mapped successfully').waitFor();
        await look(page, `onboard-mapped-${size}`);
        await fill(sid, number);
        await page.getByText(`${evidence} (updated)`, { exact: true }).waitFor();
        // What the browser lets through and the server does not.
        await page.evaluate(() => { document.querySelector('main form').noValidate = true; });
        await fill('PN1', '12');
        await page.getByText('must be PN and 32 letters or digits').waitFor();
        assert.equal(await page.inputValue('[name=twilio_number_sid]'), 'PN1');
        assert.equal(await page.inputValue('[name=number_type]'), 'voice');
        await look(page, `onboard-refused-${size}`);
        await context.close();
      }
    });

    test('a page asks for a sign-in and comes back', async () => {
      const context = await open(world, {});
      const page = await context.newPage();
      await page.goto('/customers');
      assert.equal(new URL(page.url()).pathname, '/login');
      const who = world.demo.signIns[0];
      await page.fill('[name=email]', who.email);
      await page.fill('[name=password]', who.password);
      await page.click('button.primary');
      await page.waitForURL('**/customers');
      await context.close();
    });
  });
}

function open(world, options) {
  return world.browser.newContext({ baseURL: world.demo.address, reducedMotion: 'reduce', ...options });
}

/** What the console and the network complain about. */
function failures(page) {
  const failed = [];
  page.on('pageerror', error => failed.push(String(error)));
  page.on('console', message => message.type() === 'error' && failed.push(message.text()));
  return failed;
}

/** Takes a picture, and finds what does not fit or is not accessible. */
async function look(page, name) {
  await page.screenshot({ path: `${SCREENSHOTS}${name}.png`, fullPage: true });
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `${name} is ${over} px too wide`);
  // Evaluated as the debugger, axe is not bound by the page's content security policy.
  await page.evaluate(await readFile(AXE, 'utf8'));
  const { violations } = await page.evaluate(values => globalThis.axe.run({ runOnly: values }), RULES);
  const found = violations.flatMap(it => it.nodes.map(node => `${it.id}: ${node.html} (${node.failureSummary})`));
  assert.deepEqual(found, [], name);
}
