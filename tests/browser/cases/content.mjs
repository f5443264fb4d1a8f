// The content of a message, the question before an order for many, and sending a message again.

import { strict as assert } from "node:assert";
import { DEFERRED, REFUSED_BY_GRAPH } from "../harness/relay.mjs";

export async function prepare(relay) {
  const failed = await relay.send({ to: REFUSED_BY_GRAPH, subject: "Scan 0001" }, "failed");
  for (let n = 0; n < 3; n += 1) await relay.send({ to: DEFERRED, subject: "Offer 88" }, "deferred");
  return { failed };
}

export const pages = [
  { name: "content", path: ({ failed }) => `/messages/${failed}/content` },
  { name: "content-header", path: ({ failed }) => `/messages/${failed}/content`, role: "operator" },
  { name: "message-wrong-address", path: ({ failed }) => `/messages/${failed}?wrong=address` },
];

export const cases = {
  "all that match are held after a question that names them, with and without scripts": async ({ visit }) => {
    for (const scripts of [true, false]) {
      const visitor = await visit({ scripts, role: "operator" });
      await visitor.go("/messages?q=Offer");
      await visitor.page.click("input[name=all]");
      await visitor.press(`button[value=${scripts ? "hold" : "release"}]`);
      assert.match(await visitor.text("h1"), /3 messages\?/);
      assert.equal(await visitor.count("#concerned li"), 3);
      await visitor.judge();
      await visitor.press("#order form button");
      assert.match(await visitor.text("h1"), /3 messages (held|released)/);
      // Loading the page again repeats nothing and asks nothing.
      await visitor.follow(() => visitor.page.reload());
      assert.match(await visitor.text("h1"), /3 messages (held|released)/);
    }
  },

  "a message is sent again to another address": async ({ given, visit }) => {
    const visitor = await visit({ role: "operator" });
    await visitor.go(`/messages/${given.failed}`);
    await visitor.page.click("input[value=other]");
    await visitor.fill("#resend-to", "dora@example.org");
    await visitor.press("#resend button");
    assert.match(await visitor.text("h1"), /dora@example\.org/);
    await visitor.judge();
  },
};
