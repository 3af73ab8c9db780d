import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "../../sim/world.ts";
import { LIMITS } from "../base/mod.ts";
import { RefusalBook } from "./refusal-book.ts";
import type { RefusedRequest } from "./refusal-book.ts";

const { registeredMax, perCertificateMax, strangersMax, perAddressMax } = LIMITS.refusals;

function refused(change: Partial<RefusedRequest> = {}): RefusedRequest {
  return {
    action: "connect",
    reason: "expired",
    sentence: "The certificate expired",
    fix: null,
    certificateId: "a".repeat(64),
    subject: null,
    clientId: "pump-7",
    thing: "pump-7",
    remoteAddress: "192.0.2.1",
    resource: null,
    retain: false,
    ...change,
  };
}

const id = (n: number): string => n.toString(16).padStart(64, "0");

test("a device that is refused again and again is one entry, with its first and last time and a count", async () => {
  const clock = new SimClock();
  const book = new RefusalBook(clock);
  const begun = clock.now();
  for (let i = 0; i < 5; i++) {
    book.note(refused({ remoteAddress: `192.0.2.${i}` }), true);
    await clock.run(1000);
  }
  const [entry, ...others] = book.list();
  assert.deepEqual(others, []);
  assert.equal(entry!.count, 5);
  assert.equal(entry!.firstAt, begun);
  assert.equal(entry!.lastAt, begun + 4000);
  assert.equal(entry!.remoteAddress, "192.0.2.4", "where it was last");
});

test("the latest comes first, and only what is newer than the last look is told", () => {
  const book = new RefusalBook(new SimClock());
  let told = 0;
  const cancel = book.onChange(() => told++);
  book.note(refused({ certificateId: id(1) }), true);
  book.note(refused({ certificateId: id(2) }), true);
  const seen = book.list()[0]!.sequence;
  book.note(refused({ certificateId: id(1) }), true);
  assert.deepEqual(
    book.list().map(({ certificateId }) => certificateId),
    [id(1), id(2)],
  );
  assert.deepEqual(
    book.list({ after: seen }).map(({ certificateId, count }) => [certificateId, count]),
    [[id(1), 2]],
  );
  cancel();
  book.note(refused(), true);
  assert.equal(told, 3);
  assert.equal(book.list({ limit: 1 }).length, 1);
  assert.equal(book.list({ certificateId: id(2) }).length, 1);
  assert.equal(book.list({ thing: "pump-7" }).length, 3);
  assert.equal(book.list({ thing: "pump-8" }).length, 0);
});

test("a device that is refused for many topics keeps its latest, and nobody else loses any", () => {
  const book = new RefusalBook(new SimClock());
  book.note(refused({ certificateId: id(1) }), true);
  for (let i = 0; i < 10_000; i++) {
    book.note(refused({ certificateId: id(2), action: "publish", resource: `t/${i}` }), true);
  }
  assert.equal(book.list({ certificateId: id(1) }).length, 1);
  const kept = book.list({ certificateId: id(2) });
  assert.equal(kept.length, perCertificateMax);
  assert.equal(kept[0]!.resource, "t/9999");
});

test("a flood of made-up names pushes out neither registered devices nor the strangers of other addresses", () => {
  const book = new RefusalBook(new SimClock());
  book.note(refused({ certificateId: id(1) }), true);
  book.note(refused({ certificateId: null, clientId: "new-sensor", remoteAddress: "192.0.2.9" }), false);
  // From one address, then from more addresses than there is room for, with as many names as each has.
  for (let i = 0; i < 5_000; i++) {
    book.note(refused({ certificateId: null, clientId: `x${i}`, remoteAddress: "203.0.113.1" }), false);
  }
  for (let i = 0; i < 40_000; i++) {
    const remoteAddress = `2001:db8:${(i % 500).toString(16)}::${i.toString(16)}`;
    book.note(refused({ certificateId: null, clientId: `y${i}`, remoteAddress }), false);
  }
  assert.equal(book.list({ certificateId: id(1) }).length, 1);
  assert.equal(book.list({ thing: "new-sensor" }).length, 1, "who has less than others stays");
  assert.ok(book.size <= strangersMax + 1);
});

test("one address has its share, one /64 of IPv6 too", () => {
  const book = new RefusalBook(new SimClock());
  for (let i = 0; i < 1000; i++) {
    book.note(refused({ certificateId: null, clientId: `a${i}`, remoteAddress: "192.0.2.1" }), false);
    book.note(refused({ certificateId: null, clientId: `b${i}`, remoteAddress: `2001:db8::${i.toString(16)}` }), false);
  }
  assert.equal(book.size, 2 * perAddressMax);
});

test("registered devices are bounded, too: who came longest ago goes first", () => {
  const book = new RefusalBook(new SimClock());
  for (let i = 0; i < registeredMax + 10; i++) book.note(refused({ certificateId: id(i) }), true);
  assert.equal(book.size, registeredMax);
  assert.equal(book.list({ certificateId: id(9) }).length, 0);
  assert.equal(book.list({ certificateId: id(10) }).length, 1);
});

test("what strangers call themselves cannot command a terminal, and is not long", () => {
  const book = new RefusalBook(new SimClock());
  const clientId = "\u001b[2Jevil\u202egnp\r\n";
  book.note(refused({ clientId, sentence: `no '${clientId}'`, subject: "x".repeat(9999) }), false);
  const [entry] = book.list();
  assert.equal(entry!.clientId, "\ufffd[2Jevil\ufffdgnp\ufffd\ufffd");
  assert.doesNotMatch(entry!.sentence, /\p{Cc}/u);
  assert.ok(entry!.subject!.length <= LIMITS.refusals.textLengthMax + 1);
});
