// The audit list, and a restart of the relay from the page.

import { strict as assert } from "node:assert";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";

// Something of every kind is in the list.
export const prepare = async (relay) => {
  await relay.command("pause", "--reason", "the printer moves");
  await relay.command("resume");
};

export const pages = [
  { name: "audit", path: "/audit" },
  { name: "audit-found", path: "/audit?q=pause%20done" },
  { name: "audit-nothing", path: "/audit?q=nobody" },
  { name: "audit-not-allowed", path: "/audit", role: "operator", status: 403 },
];

// Changes relay.toml behind the relay's back.
async function edit(relay, change) {
  await writeFile(relay.config, change(await relay.readConfig()));
}

// Presses the button in "Needs attention", and arrives when the relay is there again.
async function restart(visitor, words) {
  await visitor.goUntil("/", "#attention ::-p-text(differs from the running configuration)");
  await visitor.judge();
  await visitor.press("#attention button");
  await visitor.sees(words);
  await visitor.judge();
}

export const cases = {
  "the list says in words what was done, on what, with which result, and finds it": async ({ visit }) => {
    const visitor = await visit({ scripts: false });
    await visitor.go("/test");
    await visitor.fill("#to", "anna at contoso");
    visitor.expected.add(422);
    await visitor.press("#test button.primary");
    await visitor.go("/audit");
    const all = await visitor.text("table");
    for (const words of ["Pause delivery", "reason: the printer moves", "a command", "Log in", "administrator"]) {
      assert.ok(all.includes(words), `${words}: ${all}`);
    }
    assert.ok(!all.includes("command /"), all);

    await visitor.fill("#search", "send test refused");
    await visitor.press("form.search button");
    const found = await visitor.text("table");
    assert.match(found, /Send a test message[^]*anna at contoso[^]*refused[^]*not an address/);
    assert.ok(!found.includes("Pause delivery"), found);
    await visitor.judge();

    const german = await visit({ language: "de" });
    await german.go("/audit");
    await german.fill("#search", "pausieren erledigt");
    await german.press("form.search button");
    assert.match(await german.text("table"), /Zustellung pausieren[^]*erledigt/);
    assert.equal(await german.count("tbody tr"), 1);
    await german.judge();
  },

  "a restart from the overview waits for the relay, and says how it ended": async ({ relay, visit }) => {
    let hours = 1;
    for (const look of [{ scripts: true }, { scripts: false, width: 390 }, { language: "de" }]) {
      const visitor = await visit(look);
      await edit(relay, (text) => text.replace(`retry = ["${hours}h"]`, `retry = ["${hours + 1}h"]`));
      hours += 1;
      const isGerman = look.language === "de";
      await restart(visitor, isGerman ? "Das Relay wurde neu gestartet" : "The relay has restarted");
      assert.equal(visitor.path, "/setup/restart");
      await visitor.go("/audit");
      const rows = await visitor.page.$$eval("tbody tr", (all) => all.slice(0, 2).map((row) => row.innerText));
      assert.match(rows[0], isGerman ? /Relay neu starten[^]*erledigt/ : /Restart the relay[^]*done/);
    }
  },

  "a restart that fails says why and what to do, and the list does not call it done": async ({ relay, visit }) => {
    const taken = createServer();
    await new Promise((listens) => taken.listen(0, "127.0.0.1", listens));
    const address = `127.0.0.1:${taken.address().port}`;
    const before = await relay.readConfig();
    await edit(relay, (text) => `${text}\n[[listener]]\naddress = "${address}"\n`);
    const visitor = await visit({ scripts: false });
    await restart(visitor, "The restart has failed");
    assert.ok((await visitor.text("#restarted")).includes(address));
    await visitor.go("/audit");
    assert.match(await visitor.text("tbody tr"), /Restart the relay[^]*failed/);
    await visitor.judge();
    taken.close();
    await edit(relay, () => before);
  },
};
