// Every page that changes something, from its first to its last step with Tab, Space, arrows and Enter
// alone, half of them on a phone. Logging in, the doctor and the set-up have it in their own files.

import { strict as assert } from "node:assert";
import { account, DEFERRED, MAILBOX, REFUSED_BY_GRAPH } from "../harness/relay.mjs";

export const relay = {
  config: (place) => `
[[listener]]
address = "127.0.0.1:0"
authentication = "optional"

[[user]]
name = "scanner"
password_hash = "$argon2id$v=19$m=64,t=1,p=1$Y2FuYXJ5LW9mLXRlc3RzIQ$V/92VkIC5wRQnE7B7skPtj0/7FXaDLQPYeTL4opKYlg"
senders = ["${MAILBOX}"]

${account(place, "default", `mailbox = "${MAILBOX}"`)}

${account(place, "people", `sign_in = "delegated"
mailbox = "from"
senders = ["*@contoso.com", "reports@sandbox.example"]`)}
`,
};

const phone = { scripts: false, width: 390 };

export const cases = {
  "a message is selected and dropped": async ({ relay, visit }) => {
    for (const look of [phone, {}]) {
      const id = await relay.send({ to: DEFERRED, subject: "To be dropped" }, "deferred");
      const visitor = await visit({ ...look, role: "operator" });
      await visitor.go("/messages");
      await visitor.tabTo(`input[value="${id}"]`);
      await visitor.page.keyboard.press("Space");
      await visitor.enter("button[value=drop]");
      await visitor.enter("#order form button");
      await visitor.sees("1 message dropped", "h1");
      await relay.event("dropped", (line) => line.id === id);
    }
  },

  "a failed message is found, and sent again to another address": async ({ relay, visit }) => {
    await relay.send({ to: REFUSED_BY_GRAPH, subject: "Scan 0001" }, "failed");
    for (const look of [phone, {}]) {
      const visitor = await visit({ ...look, role: "operator" });
      const link = "#attention a[href='/messages?state=failed']";
      await visitor.goUntil("/", link);
      await visitor.enter(link);
      await visitor.enter("#messages tbody a[href^='/messages/']");
      await visitor.tabTo("#resend input[type=radio]");
      while ((await visitor.count("#resend input[value=other]:checked")) === 0) {
        await visitor.page.keyboard.press("ArrowDown");
      }
      await visitor.typeInto("#resend-to", "dora@example.org");
      await visitor.enter("#resend button");
      assert.match(await visitor.text("h1"), /dora@example\.org/);
    }
  },

  "a device is added": async ({ relay, visit }) => {
    for (const [name, look] of [["copier", phone], ["fax", {}]]) {
      const visitor = await visit(look);
      await visitor.go("/devices");
      await visitor.enter("#add");
      await visitor.typeInto("#name", name);
      await visitor.follow(() => visitor.page.keyboard.press("Enter"));
      const password = await visitor.text("#password");
      await relay.send({ to: "anna@example.org", user: name, password }, "delivered");
    }
  },

  "a mailbox is connected, and its sign-in forgotten": async ({ relay, visit }) => {
    for (const look of [phone, {}]) {
      const visitor = await visit(look);
      visitor.origins.push(relay.standIn.url);
      await visitor.go("/mailboxes");
      await visitor.typeInto("form.search input[name=mailbox]:not([type=hidden])", "reports@sandbox.example");
      await visitor.follow(() => visitor.page.keyboard.press("Enter"));
      await visitor.enter("#go");
      await visitor.tabTo("a[href*='reports@sandbox.example']");
      await visitor.page.keyboard.press("Enter");
      await visitor.seesAfterReload("Microsoft 365 has accepted it", "body");
      await visitor.go("/mailboxes");
      await visitor.enter("#mailboxes button.danger");
      await visitor.enter("main form button");
      assert.equal(await visitor.count("#mailboxes button.danger"), 0);
    }
  },

  "a test message is sent": async ({ visit }) => {
    for (const look of [phone, {}]) {
      const visitor = await visit({ ...look, role: "operator" });
      await visitor.go("/test");
      await visitor.typeInto("#to", "anna@contoso.com");
      await visitor.follow(() => visitor.page.keyboard.press("Enter"));
      await visitor.sees("Graph has answered", "#steps");
    }
  },
};
