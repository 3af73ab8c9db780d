import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import type { TlsMaterial } from "./tls-door.ts";
import { serve } from "./listener.fixture.ts";
import type { Served } from "./listener.fixture.ts";
import { makePki } from "./pki.fixture.ts";
import type { Identity, Pki } from "./pki.fixture.ts";

const PINGREQ = Uint8Array.of(0xc0, 0);
const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;

let first: Pki;
let second: Pki;
let server: Identity;
let ofFirst: Identity;
let ofSecond: Identity;

before(async () => {
  [first, second] = [await makePki("first CA"), await makePki("second CA")];
  server = await first.issue("server");
  [ofFirst, ofSecond] = [await first.issue("of-first"), await second.issue("of-second")];
});
after(async () => {
  await first.remove();
  await second.remove();
});

const material = (identity: Identity, ...ca: readonly Pki[]): TlsMaterial => ({
  key: identity.key,
  cert: identity.cert,
  ca: ca.map((one) => one.ca),
});

async function serving(work: (served: Served) => Promise<void>, ...ca: readonly Pki[]): Promise<void> {
  const served = await serve({ tls: material(server, ...ca), sessionTickets: true, admitPeer: () => ({ ok: true }) });
  try {
    await work(served);
  } finally {
    await served.stop();
  }
}

/** CONNECT of 3.1.1; one letter is the client id. */
function connectAs(letter: string): Uint8Array {
  return Uint8Array.of(0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, letter.charCodeAt(0));
}

interface Open {
  readonly socket: TLSSocket;
  readonly session: Buffer | null;
}

/** A connection that MQTT has answered; null where it was refused. */
async function open(
  { listener }: Served,
  identity: Identity,
  letter: string,
  more: ConnectionOptions = {},
): Promise<Open | null> {
  const own = { key: identity.key, cert: identity.cert };
  const socket = connectTls({
    host: "127.0.0.1",
    port: listener.port,
    ca: first.ca,
    servername: "localhost",
    ...own,
    ...more,
  });
  let session: Buffer | null = null;
  socket.on("session", (ticket) => (session = ticket));
  socket.on("error", () => {});
  socket.write(connectAs(letter));
  const answered = await new Promise<boolean>((resolve) => {
    socket.once("data", () => resolve(true));
    socket.once("close", () => resolve(false));
  });
  return answered ? { socket, session } : null;
}

async function answersPing({ socket }: Open): Promise<boolean> {
  socket.write(PINGREQ);
  const [bytes] = (await once(socket, "data")) as [Buffer];
  return bytes[0] === 0xd0;
}

describe("a listener that is given new certificates while it serves", () => {
  test("new connections see the new certificate, the old ones go on", () =>
    serving(async (served) => {
      const before = await open(served, ofFirst, "a");
      const renewed = await first.issue("renewed");
      served.listener.reload(material(renewed, first));
      const behind = await open(served, ofFirst, "b");
      assert.equal(behind!.socket.getPeerCertificate().subject.CN, "renewed");
      assert.ok(await answersPing(before!));
      for (const one of [before, behind]) one!.socket.destroy();
    }, first));

  test("a CA that is added: its clients are let in from then on, the others as before", () =>
    serving(async (served) => {
      assert.equal(await open(served, ofSecond, "b"), null);
      served.listener.reload(material(server, first, second));
      const [one, other] = [await open(served, ofFirst, "a"), await open(served, ofSecond, "b")];
      assert.ok((await answersPing(one!)) && (await answersPing(other!)));
      for (const each of [one, other]) each!.socket.destroy();
    }, first));

  for (const maxVersion of VERSIONS) {
    test(`a CA that is removed: no new handshake, no resumed session (${maxVersion}); who is in stays`, () =>
      serving(
        async (served) => {
          const inside = await open(served, ofSecond, "a", { maxVersion });
          assert.ok(inside!.session !== null, "it has a ticket");
          const resumed = await open(served, ofSecond, "b", { maxVersion, session: inside!.session });
          assert.equal(resumed!.socket.isSessionReused(), true, "which works");
          served.listener.reload(material(server, first));
          assert.equal(await open(served, ofSecond, "c", { maxVersion, session: inside!.session }), null);
          assert.equal(await open(served, ofSecond, "d", { maxVersion }), null);
          assert.ok(await answersPing(inside!));
          const friend = await open(served, ofFirst, "e", { maxVersion });
          assert.ok(friend !== null);
          for (const one of [inside, resumed, friend]) one!.socket.destroy();
        },
        first,
        second,
      ));
  }

  test("key and certificate that do not fit are refused, and what was there stays", () =>
    serving(async (served) => {
      const other = await first.issue("other");
      assert.throws(() => served.listener.reload({ ...material(server, first), key: other.key }));
      const one = await open(served, ofFirst, "a");
      assert.equal(one!.socket.getPeerCertificate().subject.CN, "server");
      one!.socket.destroy();
    }, first));
});
