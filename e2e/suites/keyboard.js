// Everything by keyboard alone.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { signIn } from '../harness.js';

export function keyboard(world) {
  describe('keyboard', () => {
    let context;
    let page;

    before(async () => {
      context = await world.browser.newContext({ baseURL: world.demo.address });
      await context.grantPermissions(['clipboard-read', 'clipboard-write']);
      page = await context.newPage();
      await signIn(page, world.demo);
    });

    after(() => context.close());

    const active = () => page.evaluate(() => document.activeElement.outerHTML.slice(0, 200));

    test('the first stop leads past the navigation', async () => {
      await page.goto('/communications');
      await page.keyboard.press('Tab');
      assert.match(await active(), /class="skip"/);
      await page.keyboard.press('Enter');
      assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    });

    test('single keys go to pages', async () => {
      for (const [key, path] of [['c', '/communications'], ['p', '/customers'], ['b', '/invoices'], ['l', '/']]) {
        await page.keyboard.press('g');
        await page.keyboard.press(key);
        await page.waitForURL(`${world.demo.address}${path}`);
      }
    });

    test('the palette finds a customer and opens it', async () => {
      await page.goto('/customers');
      const name = (await page.locator('[data-row] a.open').first().textContent()).trim();
      await page.keyboard.press('Control+k');
      await page.keyboard.type(name);
      await page.locator('#palette a', { hasText: name }).first().waitFor();
      await page.keyboard.press('ArrowDown');
      assert.match(await active(), /^<a /);
      await page.keyboard.press('Enter');
      await page.waitForURL(/\/customers\/./);
    });

    test('rows are walked with j and k and opened with Enter', async () => {
      await page.goto('/communications?tab=calls');
      await page.locator('[data-row]').nth(1).waitFor();
      const at = () => page.evaluate(() => {
        const rows = [...document.querySelectorAll('[data-row]')];
        return rows.findIndex(it => it.contains(document.activeElement));
      });
      for (const [key, index] of [['j', 0], ['j', 1], ['k', 0]]) {
        await page.keyboard.press(key);
        assert.equal(await at(), index);
      }
      await page.keyboard.press('Enter');
      await page.waitForURL(/\/calls\//);
    });

    test('a filter is in the address as soon as it is typed, and keys in it are letters', async () => {
      await page.goto('/communications');
      await page.keyboard.press('/');
      await page.keyboard.type('gj?');
      await page.waitForURL(/\?q=gj%3F/);
      assert.equal(await page.inputValue('main [name=q]'), 'gj?');
      assert.equal(await page.locator('#help[open]').count(), 0);
    });

    test('help lists the keys and gives the focus back', async () => {
      await page.goto('/');
      await page.keyboard.press('?');
      await page.locator('#help[open]').waitFor();
      await page.keyboard.press('Escape');
      await page.locator('#help:not([open])').waitFor({ state: 'attached' });
    });

    test('a number is copied in international form', async () => {
      await page.goto('/customers');
      const phone = page.locator('.phone').first();
      await phone.evaluate(it => getSelection().selectAllChildren(it));
      await page.keyboard.press('Control+c');
      assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^\+\d{7,15}$/);
    });
  });
}
