// A program of the tests: its lines as they come, and its end with the test's.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

// Longer than anything here takes on a busy machine.
export const PATIENCE = 60_000;

// How often something that changes is looked at: every so many milliseconds.
export const OFTEN = 50;

export const RELAY = process.env.RELAY;

// Waits for a promise, and says what was awaited if it does not come.
export async function within(promise, awaited) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`this did not happen: ${awaited}`)), PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// Waits until `holds` returns true, and says what was awaited if it does not.
export async function until(holds, awaited) {
  const deadline = Date.now() + PATIENCE;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`this did not happen: ${awaited}`);
    await new Promise((next) => setTimeout(next, OFTEN));
  }
}

// A running program that is asked for what it says on one of its outputs.
export class Program {
  constructor(command, options, output) {
    this.lines = [];
    this.waiting = new Set();
    const other = output === "stdout" ? "stderr" : "stdout";
    this.child = spawn(command, options, { stdio: ["ignore", "pipe", "pipe"] });
    this.child[other].resume();
    createInterface({ input: this.child[output] }).on("line", (line) => {
      this.lines.push(line);
      for (const look of this.waiting) look();
    });
    this.ended = new Promise((done) => this.child.once("close", done));
  }

  // The first thing that `find` makes of a line, also of one that has come already.
  line(find, awaited) {
    let look;
    const found = new Promise((done, fail) => {
      look = () => {
        const hit = this.lines.map(find).find(Boolean);
        if (hit) done(hit);
      };
      this.waiting.add(look);
      look();
      this.ended.then(() => {
        look();
        fail(new Error(`it ended without ${awaited}: ${this.lines.slice(-20).join("\n")}`));
      });
    });
    return within(found, awaited).finally(() => this.waiting.delete(look));
  }

  async stop() {
    if (this.child.exitCode === null) this.child.kill("SIGTERM");
    await within(this.ended, "a program ends");
  }
}
