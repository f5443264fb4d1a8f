// The admin page of `graph-relay sandbox`, and its inbox beside it.

import { strict as assert } from "node:assert";
import { until } from "../harness/process.mjs";
import { MAILBOX } from "../harness/relay.mjs";

export const relay = { isSandbox: true };

// The page of the stand-in is of another origin, but belongs to the sandbox.
async function inSandbox(relay, visit, look) {
  const visitor = await visit({ ...look, role: null });
  visitor.origins.push(relay.standIn.url);
  return visitor;
}

export const cases = {
  "its password, as the sandbox prints it, logs in": async ({ relay, visit }) => {
    const visitor = await inSandbox(relay, visit);
    await visitor.go("/messages");
    await visitor.fill("#password", "sandbox");
    await visitor.press("main button");
    assert.match(await visitor.text("#messages"), /Hello from the sandbox/);
    await visitor.judge();
  },

  "the admin page and the inbox lead to each other": async ({ relay, visit }) => {
    for (const look of [{ width: 390, scheme: "dark", scripts: false }, { width: 1280 }]) {
      await relay.mail({ to: "anna@example.org", subject: "Scan 0001" });
      const visitor = await inSandbox(relay, visit, look);
      await visitor.page.goto(`${relay.standIn.url}/`);
      await visitor.sees("Hello from the sandbox");
      // The inbox loads itself again every few seconds, which would cut off a click.
      await visitor.page.goto(await visitor.page.$eval("#admin-page", (link) => link.href));
      await visitor.fill("#password", "sandbox");
      await visitor.press("main button");
      assert.equal(await visitor.text("h1"), "Overview");
      await visitor.judge();
      await visitor.press("#inbox");
      assert.equal(await visitor.text("h1"), "Received messages");
    }
  },

  "a message that is sent by SMTP is in the inbox and on the page": async ({ relay, visit }) => {
    for (const [subject, look] of [["Scan 0002", { width: 390, scripts: false }], ["Scan 0003", {}]]) {
      assert.match(await relay.mail({ to: "bernd@example.org", subject }), /^250/);
      const visitor = await inSandbox(relay, visit, look);
      await visitor.page.goto(`${relay.standIn.url}/`);
      // The inbox loads itself again, also without scripts.
      await visitor.sees(subject, "body");
      await visitor.go(`/messages?q=${encodeURIComponent(subject)}`);
      await visitor.typeInto("#password", "sandbox");
      await visitor.follow(() => visitor.page.keyboard.press("Enter"));
      await visitor.sees("bernd@example.org", "#messages");
      // The inbox has it before the relay knows, and a list that was searched does not load itself.
      const isDelivered = async () => {
        if ((await visitor.count("#messages tbody .badge.ok")) === 1) return true;
        await visitor.page.reload();
        return false;
      };
      await until(isDelivered, `the page shows that ${subject} was delivered`);
      assert.equal(await visitor.count("#messages tbody tr"), 1);
    }
  },

  "its mailbox logs in with the stand-in for Microsoft": async ({ relay, visit }) => {
    const visitor = await inSandbox(relay, visit, { width: 390 });
    await visitor.go("/doctor");
    await visitor.enter("#entra");
    await visitor.page.click(`::-p-text(${MAILBOX})`);
    await visitor.sees("administrator", "header");
    assert.equal(visitor.path, "/doctor");
  },
};
