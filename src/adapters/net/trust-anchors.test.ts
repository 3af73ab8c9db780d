import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { serve } from "./listener.fixture.ts";
import { makePki } from "./pki.fixture.ts";
import type { Identity, Pki } from "./pki.fixture.ts";
import type { TlsMaterial } from "./tls-door.ts";

const DAY_MS = 86_400_000;
const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;
const CONNECT = Uint8Array.of(0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x61);

let root: Pki;
let issuing: Pki;
let expired: Pki;
let impostor: Pki;
let server: Identity;
let device: Identity;

before(async () => {
  root = await makePki("root");
  issuing = await root.below("issuing CA");
  expired = await root.below("expired CA", { validUntil: new Date(Date.now() - DAY_MS) });
  impostor = await root.below("no CA", { isCa: false });
  [server, device] = [await root.issue("server"), await issuing.issue("device")];
});
after(() => root.remove());

const trusting = (...cas: readonly Pki[]): TlsMaterial => ({
  key: server.key,
  cert: server.cert,
  ca: cas.map(({ ca }) => ca),
});

/** Whether MQTT answers it; everybody's certificate is registered here, so the handshake decides. */
async function getsIn(port: number, { key, cert }: Identity, more: object = {}): Promise<boolean> {
  const socket = connectTls({ host: "127.0.0.1", port, ca: root.ca, servername: "localhost", key, cert, ...more });
  socket.on("error", () => {});
  socket.write(CONNECT);
  const answered = await new Promise<boolean>((resolve) => {
    socket.once("data", () => resolve(true));
    socket.once("close", () => resolve(false));
  });
  socket.destroy();
  return answered;
}

async function serving(tls: TlsMaterial, work: (port: number, reload: (tls: TlsMaterial) => void) => Promise<void>) {
  const served = await serve({ tls, admitPeer: () => ({ ok: true }) });
  try {
    await work(served.listener.port, (next) => served.listener.reload(next));
  } finally {
    await served.stop();
  }
}

describe("the CAs that a listener is given", () => {
  for (const maxVersion of VERSIONS) {
    test(`an issuing CA is trusted without its root, from the start and after a reload (${maxVersion})`, () =>
      serving(trusting(issuing), async (port, reload) => {
        assert.ok(await getsIn(port, device, { maxVersion }));
        reload(trusting(root));
        assert.equal(await getsIn(port, device, { maxVersion }), false, "it does not send what is between");
        reload(trusting(root, issuing));
        assert.ok(await getsIn(port, device, { maxVersion }));
      }));
  }

  test("a root is trusted for those who send what is between", () =>
    serving(trusting(root), async (port) => {
      assert.ok(await getsIn(port, { ...device, cert: `${device.cert}\n${issuing.ca}` }));
    }));

  test("nobody gets in by a CA that has expired, though its root has not", async () => {
    const late = await expired.issue("late");
    await serving(trusting(root, expired), async (port) => {
      assert.equal(await getsIn(port, late), false);
      assert.equal(await getsIn(port, { ...late, cert: `${late.cert}\n${expired.ca}` }), false);
    });
  });

  test("a certificate that is no CA's issues nothing, also where it is named as one", async () => {
    const forged = await impostor.issue("forged");
    await serving(trusting(root, impostor), async (port) => {
      assert.equal(await getsIn(port, forged), false);
      assert.equal(await getsIn(port, { ...forged, cert: `${forged.cert}\n${impostor.ca}` }), false);
    });
  });

  test("a device of another CA stays out", async () => {
    const other = await root.below("another CA");
    const stranger = await other.issue("stranger");
    await serving(trusting(issuing), async (port) => assert.equal(await getsIn(port, stranger), false));
  });
});
