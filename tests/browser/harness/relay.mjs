// The real relay with a stand-in for Entra and Graph, and what a test asks of it.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Program, RELAY, until } from "./process.mjs";
import { send } from "./smtp.mjs";

const run = promisify(execFile);

// The stand-in's own, `sandbox/src/settings.rs`.
export const MAILBOX = "relay@sandbox.example";
export const OTHER_MAILBOX = "reports@sandbox.example";
export const TENANT = "5a4db0c5-0000-4000-8000-000000000001";
export const CLIENT_ID = "5a4db0c5-0000-4000-8000-000000000002";
export const SECRET = "sandbox~Canary.not_a-secret+0000000000";

// What a message to these becomes.
export const REFUSED_BY_GRAPH = "invalid@example.org";
export const DEFERRED = "sendas@example.org";
export const SLOW = "throttle@example.org";

// Runs `graph-relay sandbox`: the stand-in, and a relay of its own, which is used only by its case.
async function standIn() {
  const options = ["sandbox", "--smtp", "127.0.0.1:0", "--page", "127.0.0.1:0"];
  const program = new Program(RELAY, options, "stdout");
  const said = (pattern) => program.line((line) => line.match(pattern)?.[1], `${pattern}`);
  const port = await said(/^ +mail in +smtp:\S+:([0-9]+)/);
  const url = await said(/^ +mail out +(http:\S+[0-9])\//);
  const page = await said(/^ +page +(http:\S+[0-9])\//);
  await said(/^(Ready)/);
  return { program, url, page, port: Number(port) };
}

// An [[account]] of the stand-in with this name and these keys.
export const account = ({ url, folder }, name, keys) => `
[[account]]
name = "${name}"
tenant = "${TENANT}"
client_id = "${CLIENT_ID}"
client_secret_file = "${folder}/client-secret"
login_url = "${url}"
graph_url = "${url}"
${keys}
`;

// The sections of relay.toml that a case can give itself; each is left out here if it does.
function usual(url, folder) {
  return {
    "[admin]": 'address = "127.0.0.1:0"\n',
    "[limits]": 'free_space = "8 MB"\n',
    "[delivery]": 'retry = ["1h"]\n',
    "[failure]": 'notify = "off"\n',
    "[[listener]]": 'address = "127.0.0.1:0"\n',
    "[[account]]":
      `name = "default"\ntenant = "${TENANT}"\nclient_id = "${CLIENT_ID}"\n` +
      `client_secret_file = "${folder}/client-secret"\nmailbox = "${MAILBOX}"\n` +
      `login_url = "${url}"\ngraph_url = "${url}"\n`,
    "[log]": 'format = "json"\nlevel = "debug"\n',
  };
}

export class Relay {
  // `config` has sections of relay.toml in addition to the usual ones, or a function that makes them
  // from { url, folder }; `top` has keys before the first section; `without` names usual sections that
  // it does not have. `isSandbox`: the relay of `graph-relay sandbox` itself.
  static async start(settings = {}) {
    const relay = new Relay();
    try {
      await relay.begin(settings);
    } catch (error) {
      await relay.stop();
      throw error;
    }
    return relay;
  }

  async begin({ config = "", top = "", without = [], isSandbox = false }) {
    this.standIn = await standIn();
    if (isSandbox) {
      this.origin = this.standIn.page;
      this.port = this.standIn.port;
      return;
    }
    this.folder = await mkdtemp(join(tmpdir(), "graph-relay-browser-"));
    this.config = join(this.folder, "relay.toml");
    const own = { mode: 0o600 };
    await writeFile(join(this.folder, "client-secret"), SECRET, own);
    const { folder } = this;
    const { url } = this.standIn;
    const added = typeof config === "function" ? await config({ url, folder }) : config;
    const sections = Object.entries(usual(url, folder))
      .filter(([name]) => !added.includes(name) && !without.includes(name))
      .map(([name, keys]) => `${name}\n${keys}`);
    const data = `hostname = "relay.contoso.example"\ndata_dir = "${folder}/data"\n`;
    await writeFile(this.config, `${data}${top}\n${sections.join("\n")}\n${added}\n`, own);
    await this.serve();
  }

  async serve() {
    this.program = new Program(RELAY, ["serve", "--config", this.config], "stderr");
    await this.event("started");
    this.origin = (await this.event("page")).url;
    // Without an account it accepts no mail.
    if ((await this.readConfig()).includes("[[account]]")) {
      this.port = Number((await this.event("listening")).address.split(":").at(-1));
    }
  }

  // The first line of the log with this event for which `is` holds; waits for it.
  event(name, is = () => true) {
    const find = (line) => {
      const event = line.startsWith("{") ? JSON.parse(line) : {};
      return event.event === name && is(event) ? event : null;
    };
    return this.program.line(find, `the event ${name} in the log`);
  }

  // Sends a message by SMTP: { to, from, subject, body, text, hello, user, password }. Returns the
  // last reply.
  mail(message) {
    return send(this.port, { from: MAILBOX, ...message });
  }

  // The same for a message that the relay accepts. Returns its id, and waits for an event of it; one
  // that ends an attempt is on record then.
  async send(message, event = "accepted") {
    const reply = await this.mail(message);
    const id = reply.match(/queued as (\w+)/)?.[1];
    if (!id) throw new Error(`not accepted: ${reply}`);
    await this.event(event, (line) => line.id === id);
    if (event !== "accepted") await this.recorded(id);
    return id;
  }

  // Waits until no attempt of a message runs: the relay logs an outcome before it is on record, and
  // refuses to hold or drop a message until then.
  async recorded(id) {
    const isRecorded = async () => {
      const shown = JSON.parse(await this.command("queue", "show", id, "--json"));
      return shown.state !== "claimed";
    };
    await until(isRecorded, `the outcome of ${id} is on record`);
  }

  // What a command prints, with this relay's configuration.
  async command(...options) {
    const { stdout } = await run(RELAY, [...options, "--config", this.config]);
    return stdout;
  }

  // A new link that logs in.
  async link(role = "administrator") {
    return (await this.command("page", "--role", role)).trim();
  }

  readConfig() {
    return readFile(this.config, "utf8");
  }

  async restart() {
    await this.program.stop();
    await this.serve();
  }

  async stop() {
    await this.program?.stop();
    await this.standIn?.program.stop();
    if (this.folder) await rm(this.folder, { recursive: true });
  }
}
