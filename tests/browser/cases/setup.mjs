// Set-up, and the test message.

import { strict as assert } from "node:assert";

export const pages = [
  { name: "setup", path: "/setup" },
  { name: "setup-not-allowed", path: "/setup", role: "operator", status: 403 },
  { name: "test-form", path: "/test", role: "operator" },
];

export const cases = {
  "a secret's ID is refused at its field, and an expiry date is saved, with and without scripts": async ({ visit }) => {
    for (const scripts of [true, false]) {
      const visitor = await visit({ scripts });
      await visitor.go("/setup");
      await visitor.typeInto("#secret", "33333333-3333-3333-3333-333333333333");
      visitor.expected.add(422);
      await visitor.enter("#setup button.primary");
      assert.match(await visitor.text("#secret-error"), /That is the Secret ID/);
      await visitor.judge();

      await visitor.go("/setup");
      await visitor.page.$eval("#expires", (field, day) => (field.value = day), scripts ? "2031-05-01" : "2032-05-01");
      await visitor.press("#setup button.primary");
      assert.match(await visitor.text("#keys"), /client_secret_expires/);
      assert.match(await visitor.text("#outcome"), /take effect when the relay restarts/);
      await visitor.judge();
    }
  },

  "a refused value has the focus, and the notice leads to it": async ({ visit }) => {
    for (const scripts of [true, false]) {
      const visitor = await visit({ scripts });
      await visitor.go("/setup");
      await visitor.fill("#secret", "wrong~Canary");
      visitor.expected.add(422);
      await visitor.press("#setup button.primary");
      assert.match(await visitor.text("#not-saved"), /does not belong to this app/);
      assert.equal(await visitor.count("#secret:focus"), 1);
      assert.equal(await visitor.count("#not-saved a[href='#secret']"), 1);
      await visitor.judge();
    }
  },

  "a test message shows its way, and stops reloading when it has arrived": async ({ visit }) => {
    for (const scripts of [true, false]) {
      const visitor = await visit({ role: "operator", scripts });
      await visitor.go("/test");
      await visitor.fill("#to", "anna@contoso.com");
      await visitor.press("#test button.primary");
      // Until then the page loads itself again.
      await visitor.sees("Microsoft 365", "#verdict.ok");
      await visitor.sees("Graph has answered", "#steps");
      await visitor.judge();
    }
  },
};
