// The mailboxes that sign in: connected by an administrator, and by a user with a link.

import { strict as assert } from "node:assert";
import { account, MAILBOX, OTHER_MAILBOX } from "../harness/relay.mjs";

export const relay = {
  config: (place) => `
${account(place, "people", `sign_in = "delegated"
mailbox = "from"
senders = ["*@sandbox.example"]`)}
`,
};

export const pages = [
  { name: "mailboxes", path: "/mailboxes" },
  { name: "mailboxes-viewed", path: "/mailboxes", role: "viewer" },
  { name: "connect-wrong-link", path: "/connect?link=a-link", role: null },
];

// Goes on from the page with the way to Microsoft, signs in there, and comes back.
async function signIn(relay, visitor, user) {
  visitor.origins.push(relay.standIn.url);
  await visitor.judge();
  await visitor.press("#go");
  await visitor.page.click(`::-p-text(${user})`);
  await visitor.seesAfterReload("Microsoft 365 has accepted it", "body");
}

// The middle of the first line of text in an element.
const middle = (visitor, selector) =>
  visitor.page.$eval(selector, (element) => {
    const text = document.createRange();
    text.selectNodeContents(element);
    const { top, bottom } = text.getClientRects()[0];
    return (top + bottom) / 2;
  });

const looks = [
  { scripts: true, width: 1280 },
  { scripts: false, width: 390, scheme: "dark" },
];

export const cases = {
  "an administrator connects a mailbox, and a test message arrives": async ({ relay, visit }) => {
    for (const look of looks) {
      const visitor = await visit(look);
      await visitor.go("/mailboxes");
      await visitor.fill("input[name=mailbox]:not([type=hidden])", MAILBOX);
      await visitor.press("form.search button.primary");
      await signIn(relay, visitor, MAILBOX);
      await visitor.judge();
      await visitor.go("/mailboxes");
      assert.match(await visitor.text("#mailboxes"), new RegExp(MAILBOX));
      await visitor.judge();
    }
  },

  "the buttons of a mailbox stand on the line of its address": async ({ visit }) => {
    const visitor = await visit({ width: 1280 });
    await visitor.go("/mailboxes");
    const [address, button] = [
      await middle(visitor, "#mailboxes tbody td"),
      await middle(visitor, "#mailboxes tbody button"),
    ];
    assert.ok(Math.abs(address - button) <= 1, `${address}, ${button}`);
  },

  "a user with a link connects one mailbox, and sees nothing else": async ({ relay, visit }) => {
    const administrator = await visit();
    await administrator.go("/mailboxes");
    await administrator.fill("input[name=mailbox]:not([type=hidden])", OTHER_MAILBOX);
    await administrator.press("form.search button[formaction='/mailboxes/link']");
    await administrator.judge();
    assert.match(await administrator.text("#only-here"), /SSH tunnel/);
    const link = await administrator.page.$eval("#link", (field) => field.value);

    const user = await visit({ role: null, width: 390 });
    await user.go(link);
    await user.judge();
    await user.press("main button");
    await signIn(relay, user, OTHER_MAILBOX);
    assert.equal(await user.count("nav"), 0);
    await user.judge();
    await user.go("/messages");
    assert.match(user.path, /^\/log-in/);
  },
};
