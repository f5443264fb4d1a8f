// A relay that nobody has set up yet: no [[account]].

import { strict as assert } from "node:assert";

export const relay = { without: ["[[account]]"] };

export const pages = [
  { name: "unset-overview", path: "/" },
  { name: "unset-setup", path: "/setup" },
  { name: "unset-doctor", path: "/doctor", role: "operator" },
  { name: "unset-test", path: "/test", role: "operator" },
];

export const cases = {
  "every page says that it is not set up, and leads an administrator to the set-up": async ({ visit }) => {
    for (const scripts of [true, false]) {
      const visitor = await visit({ scripts });
      for (const path of ["/", "/messages", "/devices", "/mailboxes", "/doctor"]) {
        await visitor.go(path);
        assert.match(await visitor.text("#attention"), /not set up yet/, path);
      }
      await visitor.go("/");
      await visitor.enter("#attention a[href='/setup']");
      assert.match(await visitor.text("h1"), /Set-up/);
    }
  },

  "the doctor says that there is no account": async ({ visit }) => {
    const visitor = await visit({ role: "operator", width: 390 });
    await visitor.go("/doctor");
    await visitor.enter("#doctor form button");
    await visitor.sees("The last examination ended", "#doctor");
    assert.match(await visitor.text("#doctor"), /account/);
    await visitor.judge();
  },

  "a test message is not sent, and says why": async ({ visit }) => {
    const visitor = await visit({ role: "operator" });
    await visitor.go("/test");
    await visitor.fill("#to", "anna@example.org");
    visitor.expected.add(422);
    await visitor.press("#test button.primary");
    assert.match(await visitor.text(), /account/);
    await visitor.judge();
  },
};
