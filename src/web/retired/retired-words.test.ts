import assert from "node:assert/strict";
import { test } from "node:test";
import type { ForgetReport, ThingDetail } from "../../cloud/api/contract.ts";
import { meaningOf, nameWords, removedWords, stateWords } from "./retired-words.ts";

function thing(statuses: readonly string[], password: boolean, state: string): ThingDetail {
  const certificates = statuses.map((status) => ({ status }));
  return { certificates, password: password ? {} : null, presence: { state } } as unknown as ThingDetail;
}

test("what retiring means: what lets it in is counted, what is revoked already is not, and whether it is cut now", () => {
  assert.deepEqual(meaningOf(thing(["ACTIVE", "REVOKED", "INACTIVE"], true, "online")).slice(0, 2), [
    "2 certificates are revoked, and the password is removed: this cannot be taken back.",
    "It is online now: its connection is cut.",
  ]);
  assert.deepEqual(meaningOf(thing(["ACTIVE"], false, "offline")).slice(0, 2), [
    "1 certificate is revoked: this cannot be taken back.",
    "It is not connected now.",
  ]);
  assert.equal(meaningOf(thing(["REVOKED"], true, "never"))[0], "The password is removed: this cannot be taken back.");
  assert.equal(meaningOf(thing([], false, "never"))[0], "It has nothing that lets it in.");
});

test("what became of it", () => {
  const report = (given: Partial<ForgetReport>) =>
    ({ state: "done", reason: null, missing: [], ...given }) as unknown as ForgetReport;
  assert.equal(stateWords(report({})), "done");
  assert.equal(
    stateWords(report({ state: "running", missing: ["sessions", "telemetry"] })),
    "still to come: sessions, telemetry",
  );
  assert.equal(stateWords(report({ state: "waiting", reason: "the disk is full" })), "waits: the disk is full");
  assert.deepEqual(removedWords({ certificatesRevoked: 1, sessions: 0, retained: 1200 }), [
    "certificates revoked: 1",
    "retained messages: 1,200",
  ]);
  assert.deepEqual(
    ["free", "blocked", "taken"].map((name) => nameWords(name as ForgetReport["name"])),
    ["free", "blocked", "another thing's by now"],
  );
});
