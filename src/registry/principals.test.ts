import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Principals } from "./principals.ts";
import type { Certificate, Policy } from "./records.ts";
import { factsOf } from "./registry.contract.ts";

describe("rights kept in memory", () => {
  const policy: Policy = { policyName: "p", document: "{}", version: 1, createdAt: 0, updatedAt: 0 };
  const store = (): ConstructorParameters<typeof Principals>[0] & { reads: number } => ({
    reads: 0,
    certificate(id): Certificate {
      this.reads++;
      return { ...factsOf(1), certificateId: id, pem: "PEM", status: "ACTIVE", createdAt: 0, updatedAt: 0 };
    },
    thingsOf: () => [],
    thing: () => undefined,
    policiesOf: () => [{ ...policy }],
  });

  test("are bounded, and the longest unused go first", () => {
    const under = store();
    const principals = new Principals(under, 2);
    const a = principals.of("a");
    principals.of("b");
    assert.equal(principals.of("a"), a);
    principals.of("c");
    assert.equal(principals.size, 2);
    assert.equal(principals.of("a"), a);
    assert.equal(under.reads, 3);
    principals.of("b");
    assert.equal(under.reads, 4);
  });

  test("certificates with the same policy share its one object", () => {
    const principals = new Principals(store(), 10);
    assert.equal(principals.of("a")?.policies[0], principals.of("b")?.policies[0]);
  });
});
