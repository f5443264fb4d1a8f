// Logging in at an OpenID provider that nobody here wrote: `tests/identity/provider.mjs`, with its own
// pages to log in and to agree.

import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { access, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { within } from "../harness/process.mjs";

const IDENTITY = fileURLToPath(new URL("../../identity", import.meta.url));

// As in provider.mjs.
const CLIENT_ID = "aaaaaaaa-0000-4000-8000-000000000001";
const SECRET = "canary~secret.of+the/tests=and&no%other_8Q~";

const ANNA = "anna@contoso.example";
const BERT = "bert@contoso.example";

let provider;
let origin;

async function start() {
  const installed = access(`${IDENTITY}/node_modules/installed`);
  await installed.catch(() => assert.fail("run tests/identity/install first"));
  provider = spawn("node", [`${IDENTITY}/provider.mjs`], { stdio: ["pipe", "pipe", "ignore"] });
  const lines = createInterface({ input: provider.stdout })[Symbol.asyncIterator]();
  const { value } = await within(lines.next(), "the provider starts");
  return JSON.parse(value);
}

export const relay = {
  config: async ({ folder }) => {
    const { url, tenant } = await start();
    origin = url;
    await writeFile(`${folder}/provider-secret`, SECRET, { mode: 0o600 });
    return `
[[account]]
name = "default"
tenant = "${tenant}"
client_id = "${CLIENT_ID}"
client_secret_file = "${folder}/provider-secret"
mailbox = "${ANNA}"
login_url = "${url}"
graph_url = "${url}"

[admin.entra]
operators = ["${ANNA}"]
`;
  },
};

// It ends when its stdin does.
export const finish = () => provider?.stdin.end();

// Opens a page, logs in at the provider as this person, and waits for these words.
async function logIn(visitor, person, words) {
  visitor.origins.push(origin);
  await visitor.go("/messages?state=waiting");
  await visitor.enter("#entra");
  await visitor.page.type("[name=login]", person);
  await visitor.page.type("[name=password]", "any");
  await visitor.follow(() => visitor.page.keyboard.press("Enter"));
  if (await visitor.page.$("[name=prompt][value=consent]")) await visitor.page.click("button[type=submit]");
  await visitor.sees(words, "body");
  // The provider's own pages want a font from elsewhere, which they do not get here.
  visitor.faults.length = 0;
}

const looks = [
  { scripts: true, width: 1280 },
  { scripts: false, width: 390, scheme: "dark" },
];

export const cases = {
  "who is in a list logs in, and sees the page that was asked for": async ({ visit }) => {
    for (const look of looks) {
      const visitor = await visit({ ...look, role: null });
      await logIn(visitor, ANNA, "operator");
      assert.equal(visitor.path, "/messages?state=waiting");
      await visitor.judge();
    }
  },

  "who is in no list reads so, with the name that the provider gave": async ({ visit }) => {
    const visitor = await visit({ role: null });
    await logIn(visitor, BERT, "this user is in no list");
    assert.match(await visitor.text("[role=alert]"), new RegExp(BERT));
    await visitor.judge();
  },
};
