import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Principals } from "./principals.ts";
import type { RightsStore } from "./principals.ts";
import type { Certificate, Policy } from "./records.ts";
import { certificateOf } from "./contract.fixture.ts";

describe("rights kept in memory", () => {
  const policy: Policy = { policyName: "p", document: "{}", version: 1, createdAt: 0, updatedAt: 0 };
  let reads = 0;
  const store = (): RightsStore => ({
    certificates: {
      find(certificateId): Certificate {
        reads++;
        return { ...certificateOf(1), certificateId };
      },
    },
    passwords: { find: () => undefined },
    things: { ofCertificate: () => [], find: () => undefined },
    policies: { applyingTo: () => [{ ...policy }], attachedTo: () => [], ofThing: () => [] },
  });

  test("are bounded, and the longest unused go first", () => {
    reads = 0;
    const principals = new Principals(store(), 2);
    const a = principals.of("a");
    principals.of("b");
    assert.equal(principals.of("a"), a);
    principals.of("c");
    assert.equal(principals.size, 2);
    assert.equal(principals.of("a"), a);
    assert.equal(reads, 3);
    principals.of("b");
    assert.equal(reads, 4);
  });

  test("certificates with the same policy share its one object", () => {
    const principals = new Principals(store(), 10);
    assert.equal(principals.of("a")?.policies[0], principals.of("b")?.policies[0]);
  });
});
