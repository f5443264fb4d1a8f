// Logging in with Entra: the way to another site and back, which only a real browser walks with its
// cookies as it should.

import { strict as assert } from "node:assert";
import { writeFile } from "node:fs/promises";
import { MAILBOX, OTHER_MAILBOX } from "../harness/relay.mjs";

export const relay = {
  config: `[admin.entra]\nadministrators = ["${MAILBOX}"]\n`,
};

export const pages = [
  { name: "log-in-with-entra", path: "/log-in", role: null },
  { name: "log-in-stale", path: "/log-in/entra/end?code=a&state=b", role: null, status: 403 },
];

const looks = [
  { scripts: true, width: 1280, scheme: "dark" },
  { scripts: false, width: 390 },
];

// Opens a page without a log-in, and goes from there to Microsoft by keyboard alone.
async function begin(relay, visit, { path = "/", ...look } = {}) {
  const visitor = await visit({ ...look, role: null });
  visitor.origins.push(relay.standIn.url);
  await visitor.go(path);
  await visitor.judge();
  await visitor.enter("#entra");
  assert.equal(await visitor.text("h1"), "Who signs in?");
  return visitor;
}

async function asUser(relay, visit, user, look) {
  const visitor = await begin(relay, visit, look);
  await visitor.tabTo(`a[href*="${user}"]`);
  await visitor.page.keyboard.press("Enter");
  return visitor;
}

export const cases = {
  "who is in a list logs in by keyboard alone, and sees the page that was asked for": async ({ relay, visit }) => {
    for (const look of looks) {
      const visitor = await asUser(relay, visit, MAILBOX, { ...look, path: "/messages?state=failed" });
      await visitor.sees("administrator", "header");
      assert.equal(visitor.path, "/messages?state=failed");
      await visitor.judge();
      // Of the cookies of the log-in and of the session, the first is gone.
      const cookies = (await visitor.context.cookies()).filter(({ name }) => name.startsWith("graph-relay"));
      assert.deepEqual(
        cookies.map(({ name, httpOnly, sameSite }) => [name, httpOnly, sameSite]),
        [[`graph-relay-${new URL(relay.origin).port}`, true, "Strict"]],
      );
      await visitor.enter("header form button");
      await visitor.go("/messages");
      assert.match(visitor.path, /^\/log-in/);
    }
  },

  "somebody who opened the page by another of its names comes back all the same": async ({ relay, visit }) => {
    for (const look of looks) {
      const other = relay.origin.replace("localhost", "127.0.0.1");
      assert.notEqual(other, relay.origin);
      const visitor = await visit({ ...look, role: null });
      visitor.origins.push(relay.standIn.url, other);
      await visitor.page.goto(`${other}/devices`);
      await visitor.press("#entra");
      await visitor.page.click(`::-p-text(${MAILBOX})`);
      await visitor.sees("administrator", "header");
      assert.equal(visitor.path, "/devices");
    }
  },

  "who is in no list reads so, with the name that Microsoft gave": async ({ relay, visit }) => {
    for (const look of looks) {
      const visitor = await begin(relay, visit, look);
      visitor.expected.add(403);
      await visitor.page.click(`::-p-text(${OTHER_MAILBOX})`);
      await visitor.sees("this user is in no list");
      assert.match(await visitor.text("[role=alert]"), new RegExp(OTHER_MAILBOX));
      await visitor.judge();
      await visitor.enter("main .actions a");
      assert.equal(visitor.path, "/log-in");
    }
  },

  "a log-in that is cancelled at Microsoft says so, and can begin again": async ({ relay, visit }) => {
    for (const look of looks) {
      const visitor = await begin(relay, visit, look);
      visitor.expected.add(403);
      await visitor.page.click("::-p-text(Decline)");
      await visitor.sees("You are not logged in");
      assert.match(await visitor.text("[role=alert]"), /AADSTS65004/);
      await visitor.judge();
      await visitor.press("main .actions a");
      await visitor.press("#entra");
      await visitor.page.click(`::-p-text(${MAILBOX})`);
      await visitor.sees("administrator", "header");
    }
  },

  "an answer that comes to another browser, or a second time, logs in nobody": async ({ relay, visit }) => {
    const victim = await begin(relay, visit);
    const link = await victim.page.$eval(`a[href*="${MAILBOX}"]`, (it) => it.href);
    const other = await visit({ role: null });
    other.origins.push(relay.standIn.url);
    other.expected.add(403);
    await other.page.goto(link);
    await other.sees("begun in another");
    await other.go("/");
    assert.match(other.path, /^\/log-in/);

    await victim.page.goto(link);
    await victim.sees("administrator", "header");
    await victim.enter("header form button");
    victim.expected.add(403);
    await victim.page.goBack();
    // The browser may show the page that it has kept; that page asks the relay again.
    await victim.sees("Log in with Microsoft");
    assert.doesNotMatch(await victim.text("header"), /administrator/);
  },

  "operators and viewers get the buttons of their role": async ({ relay, visit }) => {
    const lists = `operators = ["${MAILBOX}"]\nviewers = ["${OTHER_MAILBOX}"]`;
    const config = await relay.readConfig();
    await writeFile(relay.config, config.replace(/administrators = .*/, lists));
    await relay.restart();
    for (const [user, role] of [[MAILBOX, "operator"], [OTHER_MAILBOX, "viewer"]]) {
      const visitor = await asUser(relay, visit, user);
      await visitor.sees(role, "header");
      await visitor.go("/test", role === "operator" ? 200 : 403);
      await visitor.judge();
    }
  },
};
