// Sends a message by SMTP, as a device would.

import { connect } from "node:net";
import { createInterface } from "node:readline";
import { within } from "./process.mjs";

class Session {
  constructor(port) {
    this.socket = connect(port, "127.0.0.1");
    this.replies = createInterface({ input: this.socket })[Symbol.asyncIterator]();
  }

  // The reply, all its lines.
  async reply() {
    let text = "";
    for (;;) {
      const { value: line, done } = await this.replies.next();
      if (done) throw new Error(`the relay closed the connection after: ${text}`);
      text += `${line}\n`;
      if (line[3] !== "-") return text.trimEnd();
    }
  }

  ask(line) {
    this.socket.write(`${line}\r\n`);
    return this.reply();
  }

  async expect(line, code) {
    const reply = await this.ask(line);
    if (!reply.startsWith(code)) throw new Error(`${line}: ${reply}`);
    return reply;
  }
}

// Sends one message and returns the last reply. `user` and `password` log in; with `text` the message
// is exactly that. A refusal is returned too, from MAIL on.
export async function send(port, message) {
  const { from, to, subject = "Hello", body = "Hello.", hello = "client.example" } = message;
  const recipients = [to].flat();
  const date = new Date().toUTCString().replace("GMT", "+0000");
  const id = `<${process.hrtime.bigint()}@client.example>`;
  const head = `From: <${from}>\r\nTo: ${recipients.map((it) => `<${it}>`).join(", ")}\r\n`;
  const usual = `${head}Subject: ${subject}\r\nDate: ${date}\r\nMessage-ID: ${id}\r\n\r\n${body}\r\n`;
  const text = message.text ?? usual;
  const session = new Session(port);
  const dialog = async () => {
    await session.reply();
    await session.expect(`EHLO ${hello}`, "250");
    if (message.user) {
      const plain = Buffer.from(`\0${message.user}\0${message.password}`).toString("base64");
      await session.expect(`AUTH PLAIN ${plain}`, "235");
    }
    let reply = await session.ask(`MAIL FROM:<${from}>`);
    for (const recipient of recipients) {
      if (!reply.startsWith("250")) return reply;
      reply = await session.ask(`RCPT TO:<${recipient}>`);
    }
    if (!reply.startsWith("250")) return reply;
    await session.expect("DATA", "354");
    return session.ask(`${text.replace(/^\./gm, "..")}\r\n.`);
  };
  try {
    return await within(dialog(), "a reply by SMTP");
  } finally {
    session.socket.destroy();
  }
}
