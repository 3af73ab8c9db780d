import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { Pki } from "../net/pki.fixture.ts";
import { makePki } from "../net/pki.fixture.ts";
import { clientOf, expiredServer, tlsContract } from "./tls.contract.ts";
import type { ClientIdentity } from "./tls.contract.ts";
import { after, before, beforeEach, describe, test } from "node:test";
import { SMTPServer } from "smtp-server";
import { OutgoingGuard } from "../outgoing-guard.ts";
import { emailSender } from "./email.ts";
import { TIMEOUT, rendered } from "./sender.contract.ts";

interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
}

/** A real SMTP server that answers as told. */
describe("mail", () => {
  const mails: Mail[] = [];
  /** Response code for the next DATA commands; 0 takes it. */
  let answers: number[] = [];
  let hangs = false;
  let server: SMTPServer;
  let port = 0;

  before(async () => {
    server = new SMTPServer({
      authOptional: true,
      closeTimeout: 100,
      disabledCommands: ["STARTTLS"],
      onRcptTo({ address }, _session, done) {
        if (address.startsWith("nobody"))
          return done(Object.assign(new Error("5.1.1 no such user"), { responseCode: 550 }));
        return done();
      },
      onData(stream, session, done) {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", () => {
          if (hangs) return;
          const code = answers.shift() ?? 0;
          if (code !== 0) return done(Object.assign(new Error("as the test says"), { responseCode: code }));
          const { mailFrom, rcptTo } = session.envelope;
          const to = rcptTo.map(({ address }) => address);
          mails.push({ from: mailFrom === false ? "" : mailFrom.address, to, text: Buffer.concat(chunks).toString() });
          return done();
        });
      },
    });
    server.on("error", () => {});
    const listening = server.listen(0, "127.0.0.1");
    await once(listening, "listening");
    port = (listening.address() as AddressInfo).port;
  });
  beforeEach(() => {
    mails.length = 0;
    answers = [];
    hangs = false;
  });
  after(() => new Promise<void>((resolve) => server.close(resolve)));

  const action = (more: object = {}): object => ({
    email: {
      url: `smtp://127.0.0.1:${port}`,
      from: "Plant <plant@example.com>",
      to: ["a@example.com", "b@example.com"],
      ...more,
    },
  });

  async function send(given: object, values: readonly object[], timeout = TIMEOUT) {
    const { receiver, parcels } = rendered(given, values);
    const sender = emailSender(receiver, { guard: new OutgoingGuard(), certificates: null });
    const verdicts = await sender.send(parcels, timeout);
    await sender.close();
    return verdicts;
  }

  const header = (mail: Mail, name: string): string =>
    new RegExp(`^${name}: (.*)$`, "im").exec(mail.text)?.[1]?.trim() ?? "";

  test("subject and text by template, in UTF-8; every recipient; the same event has the same Message-ID; a thread is one", async () => {
    const given = action({ subject: "Tank ${n}", text: "Stand: ${s}", thread: "tank ${n}" });
    for (let i = 0; i < 2; i++) assert.deepEqual(await send(given, [{ n: 7, s: "hoch über Maß" }]), [{ type: "done" }]);
    const [first, again] = mails as [Mail, Mail];
    assert.deepEqual([first.from, first.to], ["plant@example.com", ["a@example.com", "b@example.com"]]);
    assert.equal(header(first, "Subject"), "Tank 7");
    assert.match(first.text, /Stand: hoch =C3=BCber|Stand: hoch über/);
    assert.match(header(first, "Message-ID"), /^<[0-9a-f]{32}@example\.com>$/);
    assert.equal(header(first, "Message-ID"), header(again, "Message-ID"));
    assert.equal(header(first, "In-Reply-To"), header(first, "References"));
    assert.notEqual(header(first, "In-Reply-To"), "");
    assert.equal(header(first, "Auto-Submitted"), "auto-generated");
  });

  test("what a message brings in cannot add a header", async () => {
    await send(action({ subject: "${s}" }), [{ s: "x\r\nBcc: spy@example.com\r\n\r\nbody" }]);
    assert.deepEqual(mails[0]!.to, ["a@example.com", "b@example.com"]);
    assert.equal(header(mails[0]!, "Bcc"), "");
  });

  test("4xx is tried again, 5xx is final, and neither is the next mail's fault", async () => {
    answers = [451, 0, 554, 0];
    const verdicts = await send(action(), [{}, {}, {}, {}]);
    assert.deepEqual(
      verdicts.map((verdict) => (verdict.type === "retry" ? verdict.scope : verdict.type)),
      ["delivery", "done", "dead", "done"],
    );
    assert.match(JSON.stringify(verdicts[2]), /554 as the test says/);
  });

  test("a recipient that is unknown is final; where others got it, too: nobody gets it twice", async () => {
    const [all] = await send(action({ to: "nobody@example.com" }), [{}]);
    const [some] = await send(action({ to: ["a@example.com", "nobody@example.com"] }), [{}]);
    assert.deepEqual([all!.type, some!.type], ["dead", "dead"]);
    assert.match(JSON.stringify(some), /no mail for 1 of 2 recipients/);
    assert.equal(mails.length, 1);
  });

  test("a server that hangs costs the time-out; a password is never sent in the clear; metadata addresses are refused", async () => {
    hangs = true;
    assert.match(JSON.stringify(await send(action(), [{}], 300)), /"target".*no answer within 0.3 s/);
    hangs = false;
    const [clear] = await send(action({ user: "u", password: "hunter2" }), [{}]);
    assert.equal(clear!.type, "retry");
    assert.doesNotMatch(JSON.stringify(clear), /hunter2/);
    assert.equal(mails.length, 0);
    assert.match(JSON.stringify(await send(action({ url: "smtp://169.254.169.254" }), [{}])), /"dead".*not allowed/);
  });
});

for (const [how, secure] of [
  ["TLS from the first byte", true],
  ["STARTTLS", false],
] as const) {
  describe(`mail by ${how}`, () => {
    let [pki, other]: Pki[] = [];
    let [client, stranger]: ClientIdentity[] = [];
    let server: SMTPServer;
    let port = 0;
    let mails = 0;

    before(async () => {
      [pki, other] = await Promise.all([makePki(), makePki("another CA")]);
      [client, stranger] = await Promise.all([clientOf(pki), clientOf(other)]);
      const { key, cert } = await pki.issue("server");
      server = new SMTPServer({
        secure,
        key,
        cert,
        ca: [pki.ca],
        requestCert: true,
        rejectUnauthorized: true,
        authOptional: true,
        closeTimeout: 100,
        onData(stream, session, done) {
          assert.ok(session.secure);
          stream.resume().on("end", () => {
            mails++;
            done();
          });
        },
      });
      server.on("error", () => {});
      const listening = server.listen(0, "127.0.0.1");
      await once(listening, "listening");
      port = (listening.address() as AddressInfo).port;
    });
    after(async () => {
      assert.ok(mails > 0);
      await new Promise<void>((resolve) => server.close(resolve));
      await Promise.all([pki!.remove(), other!.remove()]);
    });

    tlsContract({
      action: (more, at = port) => ({
        email: {
          url: `${secure ? "smtps" : "smtp"}://127.0.0.1:${at}`,
          from: "a@example.com",
          to: "b@example.com",
          ...more,
        },
      }),
      open: emailSender,
      ca: () => pki!.ca,
      otherCa: () => other!.ca,
      name: "localhost",
      client: () => client!,
      stranger: () => stranger!,
      expired: secure ? () => expiredServer(pki!) : null,
    });
  });
}
