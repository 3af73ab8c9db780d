/** What every sender must do with a server that speaks TLS; each test file runs it on its own. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:tls";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Receiver, Sender, Verdict } from "../../rules/mod.ts";
import type { Pki } from "../net/pki.fixture.ts";
import { OutgoingGuard } from "../outgoing-guard.ts";
import { TIMEOUT, numbered, rendered } from "./sender.contract.ts";
import type { ServerPorts } from "./server-settings.ts";

export interface ClientIdentity {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface TlsPlace {
  /** By TLS, to 127.0.0.1; `port`: of another server. */
  action(more: object, port?: number): object;
  open(receiver: Receiver, ports: ServerPorts): Sender;
  /** Of the server's certificate, which is for 127.0.0.1. */
  ca(): string;
  /** Another name that it has. */
  readonly name: string;
  /** Of another CA. */
  otherCa(): string;
  /** What the server demands of clients; null where it demands nothing. */
  readonly client: (() => ClientIdentity) | null;
  /** Of the other CA. */
  readonly stranger: (() => ClientIdentity) | null;
  /** A server with an expired certificate of the CA; null where only this server could be one. */
  readonly expired: (() => Promise<{ readonly port: number; close(): void }>) | null;
}

/** For protocols that begin with TLS: the handshake is all there is of it. */
export async function expiredServer(pki: Pki): Promise<{ readonly port: number; close(): void }> {
  const { key, cert } = await pki.issue("expired", new Date(Date.now() - 3_600_000));
  const server = createServer({ key, cert }, (socket) => socket.destroy()).listen(0, "127.0.0.1");
  server.on("tlsClientError", () => {});
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}

export async function clientOf(pki: Pki): Promise<ClientIdentity> {
  const { cert, key } = await pki.issue("client");
  return { certificate: cert, privateKey: key };
}

export function tlsContract(place: TlsPlace): void {
  const send = async (more: object, ports: Partial<ServerPorts> = {}, port?: number): Promise<Verdict> => {
    const { receiver, parcels } = rendered(place.action({ ...place.client?.(), ...more }, port), numbered(1));
    const sender = place.open(receiver, { guard: new OutgoingGuard(), certificates: null, ...ports });
    const [verdict] = await sender.send(parcels, TIMEOUT);
    await sender.close();
    return verdict!;
  };
  const reasonOf = (verdict: Verdict): string => {
    assert.equal(verdict.type, "retry", "somebody mends it, and nothing is lost meanwhile");
    return (verdict as Verdict & { type: "retry" }).reason;
  };

  test("TLS: a server of one's own CA, by address and by name", async () => {
    assert.deepEqual(await send({ ca: place.ca() }), { type: "done" });
    assert.deepEqual(await send({ ca: place.ca(), serverName: place.name }), { type: "done" });
  });

  test("TLS: the CA in a file of the operator's folder; one that is not there is named", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidewire-tls-"));
    try {
      writeFileSync(join(folder, "plant-ca.pem"), place.ca());
      assert.deepEqual(await send({ ca: "plant-ca.pem" }, { certificates: folder }), { type: "done" });
      const missing = reasonOf(await send({ ca: "other.pem" }, { certificates: folder }));
      assert.match(missing, /^ca: 'other\.pem' of the platform's certificates folder cannot be read: .*ENOENT/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("TLS: a CA that nobody trusts, and another than the server's", async () => {
    for (const more of [{}, { ca: place.otherCa() }]) {
      assert.match(reasonOf(await send(more)), /not of a CA that is trusted: give that CA as `ca` \(.+\)$/);
    }
  });

  test("TLS: a certificate for another name, although the address is right", async () => {
    const reason = reasonOf(await send({ ca: place.ca(), serverName: "broker.example.com" }));
    assert.match(reason, /for another name: .* `serverName` \(.+\)$/);
  });

  const { expired, client, stranger } = place;
  if (expired !== null) {
    test("TLS: a certificate that has expired", async () => {
      const server = await expired();
      try {
        const reason = reasonOf(await send({ ca: place.ca() }, {}, server.port));
        assert.match(reason, /has expired: it needs a new one \(.+\)$/);
      } finally {
        server.close();
      }
    });
  }

  if (client !== null && stranger !== null) {
    test("TLS: a server that asks who we are says no to who does not tell, or to a stranger", async () => {
      const nobody = { ca: place.ca(), certificate: undefined, privateKey: undefined };
      for (const more of [nobody, { ca: place.ca(), ...stranger() }]) {
        // In TLS 1.3 the client is done before the server has looked at it: its alert races with the end of the connection.
        assert.match(reasonOf(await send(more)), /give `certificate` and `privateKey` \(.+\)$|closed|ECONNRESET|EPIPE/);
      }
    });
  }
}
