// Pictures for the book, of a relay as it looks in use: `tests/browser/run --screenshots`.

import { once } from "node:events";
import { createServer } from "node:net";
import { CLIENT_ID, MAILBOX, OTHER_MAILBOX, TENANT } from "../harness/relay.mjs";

// As in log_in.mjs.
const PASSWORD = "a long password of the tests";
const HASH = "$argon2id$v=19$m=19456,t=2,p=1$44KIT8Own0rt9sm2TARA5g$8KbrpoJXGj3OMJLLeMU8sm1V0Kxp9t1Q7Aj1eFCUWqw";

const account = ({ url, folder }, name, keys) => `
[[account]]
name = "${name}"
tenant = "${TENANT}"
client_id = "${CLIENT_ID}"
client_secret_file = "${folder}/client-secret"
client_secret_expires = "2028-11-30"
login_url = "${url}"
graph_url = "${url}"
${keys}
`;

const user = (name) => `
[[user]]
name = "${name}"
password_hash = "${HASH}"
senders = ["${MAILBOX}"]
`;

// The page shows it.
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

export const relay = {
  config: async (place) =>
    account(place, "default", `mailbox = "${MAILBOX}"`) +
    account(place, "people", `sign_in = "delegated"\nmailbox = "from"\nsenders = ["${OTHER_MAILBOX}"]`) +
    user("scanner-1") +
    user("scanner-2") +
    user("erp") +
    `
[[listener]]
address = "127.0.0.1:${await freePort()}"
authentication = "optional"

[admin]
address = "127.0.0.1:0"
password_hash = "${HASH}"

[admin.entra]
administrators = ["${MAILBOX}"]
`,
};

export async function prepare(relay, visit) {
  const as = (name) => ({ user: name, password: PASSWORD, hello: name });
  for (const [n, name] of ["anna", "bernd", "chris"].entries()) {
    const scan = { to: `${name}@example.org`, subject: `Scan 000${n + 1}` };
    await relay.send({ ...as("scanner-1"), ...scan }, "delivered");
  }
  await relay.send({ ...as("erp"), to: "dora@example.org", subject: "Invoice 2026-118" }, "delivered");
  await relay.mail({ ...as("scanner-2"), to: "anna@example.org", from: "boss@contoso.com" });
  await relay.send({ hello: "ups-cellar", to: "it@example.org", subject: "On battery" }, "delivered");

  const visitor = await visit({});
  visitor.origins.push(relay.standIn.url);
  await visitor.go("/mailboxes");
  await visitor.fill("form.search input[name=mailbox]:not([type=hidden])", OTHER_MAILBOX);
  await visitor.press("form.search button.primary");
  await visitor.press("#go");
  await visitor.page.click(`::-p-text(${OTHER_MAILBOX})`);
  await visitor.sees("Microsoft 365 has accepted it", "body");
  await visitor.go("/doctor");
  await visitor.press("#doctor form button");
  await visitor.page.waitForSelector("#doctor:not(:has([role=status]))");
  await visitor.context.close();
}

const width = 1280;

export const pictures = [
  { image: "log-in", path: "/log-in", role: null, width: 700 },
  { image: "devices", path: "/devices", width },
  {
    image: "device-added",
    width,
    open: async ({ visitor }) => {
      await visitor.go("/devices/add");
      await visitor.fill("#name", "copier");
      await visitor.press("form#add button");
    },
  },
  { image: "setup", path: "/setup", width },
  { image: "mailboxes", path: "/mailboxes", width },
  {
    image: "test-message",
    width,
    open: async ({ visitor }) => {
      await visitor.go("/test");
      await visitor.fill("#to", "anna@example.org");
      await visitor.press("#test button.primary");
      await visitor.sees("Graph has answered", "#steps");
      // It does not load itself again any more.
      await visitor.page.waitForSelector("#verdict.ok");
    },
  },
  { image: "doctor", path: "/doctor", width },
  { image: "audit", path: "/audit", width },
];
