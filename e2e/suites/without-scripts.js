// The same work with scripts off: plain links and forms.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { signIn } from '../harness.js';

export function withoutScripts(world) {
  describe('without scripts', () => {
    let context;
    let page;

    before(async () => {
      context = await world.browser.newContext({ baseURL: world.demo.address, javaScriptEnabled: false });
      page = await context.newPage();
      await signIn(page, world.demo);
    });

    after(() => context.close());

    test('the live page lists calls and offers to read it again', async () => {
      await page.goto('/');
      assert.equal(await page.locator('#tiles dt').count(), 8);
      assert.ok(await page.getByRole('link', { name: 'Refresh' }).isVisible());
    });

    test('a list is filtered by a button and read on by a link', async () => {
      await page.goto('/communications');
      await page.fill('main [name=q]', 'zzzz-nobody');
      await page.getByRole('button', { name: 'Apply' }).click();
      assert.match(page.url(), /q=zzzz-nobody/);
      assert.equal(await page.locator('[data-row]').count(), 0);
      await page.getByRole('link', { name: 'Clear filters' }).click();
      assert.ok(await page.locator('[data-row]').count() > 0);
    });

    test('a call opens with its explanation', async () => {
      await page.goto('/communications?tab=calls');
      await page.locator('[data-row] a.open').first().click();
      assert.ok(await page.locator('#charge-title').isVisible());
      assert.ok(await page.locator('#timeline-title').isVisible());
    });

    test('an invoice unfolds the calls behind a line', async () => {
      await page.goto('/invoices');
      await page.locator('[data-row] a.open').first().click();
      assert.ok(await page.locator('.sheet').isVisible());
      const folded = page.locator('details.annex').first();
      if (await folded.count()) {
        await folded.locator('summary').click();
        assert.ok(await folded.locator('tbody tr').first().isVisible());
      }
    });

    test('the palette is a page', async () => {
      await page.goto('/search?q=invoices');
      assert.ok(await page.locator('main .results a[href="/invoices"]').isVisible());
    });

    test('a number is not mapped for a tenant of others, and the form keeps what was typed', async () => {
      await page.goto('/ops/numbers/onboard');
      await page.getByLabel('Tenant ID').fill('somebody-else');
      await page.getByLabel('Twilio Number SID').fill(`PN${'0'.repeat(32)}`);
      await page.getByLabel('Phone Number (E.164)').fill('+12505551299');
      await page.getByRole('button', { name: 'Map Number for Billing' }).click();
      assert.match(await page.getByRole('alert').innerText(), /tenant `somebody-else` is not yours/);
      assert.equal(await page.inputValue('[name=phone_number]'), '+12505551299');
    });

    test('a person signs out', async () => {
      await page.goto('/');
      await page.locator('.account summary').click();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.goto('/');
      assert.equal(new URL(page.url()).pathname, '/login');
    });
  });
}
