import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { test } from "node:test";
import { TestAuthority, writeTestDevice } from "../../edge/certificates.fixture.ts";
import type { CloseCause, CloseKind } from "../../queue/mod.ts";
import { closeCauseOf, uplinkSockets } from "./uplink-socket.ts";

for (const [code, kind] of [
  ["ENOTFOUND", "unresolved"],
  ["EAI_AGAIN", "unresolved"],
  ["ECONNREFUSED", "refused"],
  ["ENETUNREACH", "unreachable"],
  ["ETIMEDOUT", "unreachable"],
  ["ECONNRESET", "reset"],
  ["CERT_HAS_EXPIRED", "server-certificate"],
  ["CERT_NOT_YET_VALID", "server-certificate"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "server-certificate"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "server-certificate"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "server-certificate"],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "client-certificate"],
  ["ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN", "client-certificate"],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED", "client-certificate"],
  ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "client-certificate"],
  ["ERR_SSL_TLSV1_ALERT_ACCESS_DENIED", "client-certificate"],
  ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "tls"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "tls"],
  ["EPROTO", "tls"],
  ["SOMETHING_NEW", "reset"],
] as const satisfies readonly (readonly [string, CloseKind])[]) {
  test(`${code} means: ${kind}`, () => {
    const error = Object.assign(new Error(`${code}: told\nin two lines`), { code });
    assert.deepEqual(closeCauseOf(error), { kind, detail: `${code}: told` });
  });
}

async function attempt(options: {
  readonly port: number;
  readonly key?: string;
}): Promise<{ readonly cause: CloseCause; readonly opened: boolean }> {
  const authority = await TestAuthority.make();
  const issued = await authority.device("dev");
  const device = writeTestDevice({ broker: "mqtts://127.0.0.1:1", ca: authority.ca, issued });
  let opened = false;
  const cause = await new Promise<CloseCause>((resolve) => {
    uplinkSockets({
      host: "127.0.0.1",
      port: options.port,
      credentials: () => ({
        certificate: readFileSync(`${device.folder}/device.crt`, "utf8"),
        privateKey: readFileSync(options.key ?? `${device.folder}/device.key`, "utf8"),
        ca: readFileSync(`${device.folder}/ca.crt`, "utf8"),
      }),
    })({
      opened: () => (opened = true),
      received: () => {},
      written: () => {},
      closed: resolve,
    });
  });
  device.remove();
  return { cause, opened };
}

test("a key file that is gone is told as such, and after the call, not during it", async () => {
  const { cause, opened } = await attempt({ port: 1, key: "/no/such/key" });
  assert.equal(cause.kind, "credentials");
  assert.match(cause.detail, /ENOENT/);
  assert.equal(opened, false);
});

test("a listener that speaks no TLS, and one that closes at once", async () => {
  for (const [greet, kinds] of [
    ["220 mail.example ESMTP\r\n", ["tls"]],
    [null, ["reset", "ended"]],
  ] as const) {
    const server = createServer((socket) => {
      socket.on("error", () => {}).resume();
      if (greet === null) socket.destroy();
      else socket.write(greet);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { cause, opened } = await attempt({ port: (server.address() as AddressInfo).port });
    assert.ok((kinds as readonly string[]).includes(cause.kind), `${cause.kind}: ${cause.detail}`);
    assert.equal(opened, false);
    server.close();
    await once(server, "close");
  }
});
