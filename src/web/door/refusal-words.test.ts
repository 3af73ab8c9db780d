import assert from "node:assert/strict";
import { test } from "node:test";
import type { Refusal } from "../../cloud/api/contract.ts";
import { asSentence, deviceName, isNameUnproved, refusalKey, steadyOrder } from "./refusal-words.ts";

function refusal(more: Partial<Refusal>): Refusal {
  return {
    sequence: 1,
    action: "connect",
    reason: "unknown",
    sentence: "The certificate is not registered",
    fix: "Let it join",
    command: null,
    allowedNow: false,
    certificateId: null,
    subject: null,
    clientId: null,
    thing: null,
    remoteAddress: "192.0.2.7",
    resource: null,
    firstAt: 1000,
    lastAt: 1000,
    count: 1,
    ...more,
  };
}

test("a device is called by its thing, else by what it calls itself, else by its address", () => {
  const subject = "O=Acme, CN=pump 7, OU=hall";
  assert.equal(deviceName(refusal({ thing: "pump", subject, clientId: "c" })), "pump");
  assert.equal(deviceName(refusal({ subject, clientId: "c" })), "pump 7");
  assert.equal(deviceName(refusal({ subject: "O=Acme", clientId: "c" })), "O=Acme");
  assert.equal(deviceName(refusal({ subject: "", clientId: "c" })), "c");
  assert.equal(deviceName(refusal({ clientId: "" })), "192.0.2.7");
});

test("a name without a certificate is no proof; an address is no name", () => {
  assert.equal(isNameUnproved(refusal({ clientId: "pump" })), true);
  assert.equal(isNameUnproved(refusal({ clientId: "pump", certificateId: "c1" })), false);
  assert.equal(isNameUnproved(refusal({})), false);
});

test("a text gets the one stop that fits", () => {
  assert.equal(asSentence("It expired"), "It expired.");
  assert.equal(asSentence("It expired."), "It expired.");
  assert.equal(asSentence("Activate it.", ":"), "Activate it:");
  assert.equal(asSentence("Who is it?"), "Who is it?");
});

test("an entry stays itself while a device with a certificate moves, and strangers are told apart", () => {
  const known = refusal({ certificateId: "c1", remoteAddress: "192.0.2.7", count: 1 });
  const moved = { ...known, remoteAddress: "192.0.2.8", clientId: "x", count: 2, sequence: 9, lastAt: 5000 };
  assert.equal(refusalKey(known), refusalKey(moved));
  assert.notEqual(refusalKey(refusal({ clientId: "a" })), refusalKey(refusal({ clientId: "b" })));
  assert.notEqual(refusalKey(known), refusalKey({ ...known, reason: "expired" }));
});

test("what is new comes first, what is known keeps its place, what is gone goes", () => {
  const [a, b, c, d] = ["a", "b", "c", "d"].map((clientId) => refusal({ clientId }));
  const again = { ...b!, count: 7, sequence: 8 };
  const order = steadyOrder([a!, b!, c!], [again, d!, a!]);
  assert.deepEqual(
    order.map(({ clientId, count }) => [clientId, count]),
    [
      ["d", 1],
      ["a", 1],
      ["b", 7],
    ],
  );
});
