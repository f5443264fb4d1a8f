// Logging in: by link, by password, wrongly, and out again.

import { strict as assert } from "node:assert";

// "a long password of the tests", by `graph-relay hash-password`.
const PASSWORD = "a long password of the tests";
const HASH = "$argon2id$v=19$m=19456,t=2,p=1$44KIT8Own0rt9sm2TARA5g$8KbrpoJXGj3OMJLLeMU8sm1V0Kxp9t1Q7Aj1eFCUWqw";

export const relay = {
  config: `[admin]\naddress = "127.0.0.1:0"\npassword_hash = "${HASH}"\n`,
};

export const pages = [
  { name: "log-in", path: "/log-in", role: null },
  { name: "log-in-by-link", path: "/log-in?link=a-link", role: null },
  { name: "no-such-page", path: "/no-such-page", status: 404 },
];

export const cases = {
  "a link logs in once, and not a second time": async ({ relay, visit }) => {
    const link = await relay.link("viewer");
    const [first, second] = [await visit({ role: null }), await visit({ role: null })];
    for (const visitor of [first, second]) await visitor.go(link);
    await first.press("main button");
    assert.equal(first.path, "/");
    second.expected.add(403);
    await second.press("main button");
    assert.equal(await second.count("[role=alert]"), 1);
    await second.judge();
  },

  "the language is chosen before the log-in, which keeps its link": async ({ relay, visit }) => {
    const visitor = await visit({ role: null, scripts: false });
    await visitor.go(await relay.link("viewer"));
    await visitor.press("::-p-text(Deutsch)");
    assert.equal(await visitor.text("h1"), "Anmelden");
    await visitor.press("main button");
    assert.equal(await visitor.text("h1"), "Übersicht");
  },

  "a password logs in by keyboard alone, also without scripts": async ({ visit }) => {
    for (const scripts of [true, false]) {
      const visitor = await visit({ role: null, scripts });
      await visitor.go("/");
      assert.equal(visitor.path, "/log-in");
      await visitor.page.focus("#password");
      await visitor.page.keyboard.type(PASSWORD);
      await visitor.follow(() => visitor.page.keyboard.press("Enter"));
      assert.equal(visitor.path, "/");
      await visitor.press("::-p-text(Log out)");
      await visitor.go("/");
      assert.equal(visitor.path, "/log-in");
    }
  },
};
