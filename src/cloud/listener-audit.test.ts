import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "../../sim/world.ts";
import type { ListenerRefusal } from "../adapters/net/mod.ts";
import type { AuditEvent } from "../audit/mod.ts";
import { LIMITS, minutes } from "../base/mod.ts";
import { ListenerAudit } from "./listener-audit.ts";

const refusal = (change: Partial<ListenerRefusal> = {}): ListenerRefusal => ({
  remoteAddress: "192.0.2.1",
  reason: "certificate-untrusted",
  hint: "its CA is not known here",
  certificate: null,
  ...change,
});

function trail(perSource = Infinity) {
  const written: AuditEvent[] = [];
  const bySource = new Map<string, number>();
  const clock = new SimClock();
  const audit = new ListenerAudit({
    scheduler: clock,
    audit: {
      note: (event) => void written.push(event),
      refused: (source, event) => {
        const count = (bySource.get(source) ?? 0) + 1;
        bySource.set(source, count);
        if (count <= perSource) written.push(event);
        return count <= perSource;
      },
    },
  });
  return { written, clock, audit };
}

test("a failed handshake is written with its reason and what the certificate calls itself; only a proved one is an actor", () => {
  const { written, audit } = trail();
  audit.note(refusal());
  const certificate = { certificateId: "ab".repeat(32), subject: "CN=pump-1" };
  audit.note(refusal({ reason: "certificate-refused", certificate }));
  assert.deepEqual(
    written.map(({ action, target, actor, address }) => [action, target, actor["certificateId"], address]),
    [
      ["listener.refuse.certificate-untrusted", null, null, "192.0.2.1"],
      ["listener.refuse.certificate-refused", "CN=pump-1", certificate.certificateId, "192.0.2.1"],
    ],
  );
  audit.close();
});

test("a scan from everywhere is a bounded number of entries, and how many more there were, by reason", () => {
  const { written, clock, audit } = trail();
  const max = LIMITS.audit.listenerRefusalsPerMinuteMax;
  for (let n = 0; n < 10_000; n++)
    audit.note(
      refusal({ remoteAddress: `203.0.${n >> 8}.${n & 255}`, reason: n % 2 === 0 ? "tls" : "no-certificate" }),
    );
  assert.equal(written.length, max);
  clock.advance(minutes(1));
  assert.equal(written.length, max + 1);
  const left = (10_000 - max) / 2;
  assert.deepEqual(written.at(-1)?.details, { tls: left, "no-certificate": left });
  audit.note(refusal());
  assert.equal(written.length, max + 2, "the next minute has room again");
  audit.close();
});

test("one noisy address takes no room from the others", () => {
  const { written, audit } = trail(10);
  for (let n = 0; n < 10_000; n++) audit.note(refusal());
  audit.note(refusal({ remoteAddress: "198.51.100.9" }));
  assert.equal(written.length, 11);
  assert.equal(written.at(-1)?.address, "198.51.100.9");
  audit.close();
});

test("what was left out is told when the platform stops, too", () => {
  const { written, audit } = trail();
  for (let n = 0; n <= LIMITS.audit.listenerRefusalsPerMinuteMax; n++) audit.note(refusal());
  audit.close();
  assert.deepEqual(written.at(-1)?.details, { "certificate-untrusted": 1 });
});
