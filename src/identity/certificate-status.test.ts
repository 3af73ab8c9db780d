import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { days, minutes } from "../base/mod.ts";
import { CERTIFICATE_STATUSES, mayBecome, verdict } from "./certificate-status.ts";
import type { CertificateStatus } from "./certificate-status.ts";

const NOW = 1_767_225_600_000;
const certificate = (status: CertificateStatus) => ({ status, notBefore: NOW - days(1), notAfter: NOW + days(1) });

describe("certificate status", () => {
  const allowed = [
    "PENDING_ACTIVATION→ACTIVE",
    "PENDING_ACTIVATION→INACTIVE",
    "PENDING_ACTIVATION→REVOKED",
    "ACTIVE→INACTIVE",
    "ACTIVE→REVOKED",
    "INACTIVE→ACTIVE",
    "INACTIVE→REVOKED",
  ];
  for (const from of CERTIFICATE_STATUSES) {
    for (const to of CERTIFICATE_STATUSES) {
      const expected = from === to || allowed.includes(`${from}→${to}`);
      test(`${from} → ${to}: ${expected ? "allowed" : "refused"}`, () => assert.equal(mayBecome(from, to), expected));
    }
  }
});

describe("verdict on a certificate", () => {
  const reason = (...given: Parameters<typeof verdict>): string => {
    const answer = verdict(...given);
    if (answer.ok) return "ok";
    assert.match(answer.sentence, /^The certificate .+[^.]$/);
    return answer.reason;
  };

  test("by status", () => {
    assert.equal(reason(certificate("ACTIVE"), NOW), "ok");
    assert.equal(reason(certificate("INACTIVE"), NOW), "inactive");
    assert.equal(reason(certificate("REVOKED"), NOW), "revoked");
    assert.equal(reason(certificate("PENDING_ACTIVATION"), NOW), "pending");
    assert.equal(reason(undefined, NOW), "unknown");
  });

  test("by time, with the clock far off either way and five minutes of patience before its start", () => {
    assert.equal(reason(certificate("ACTIVE"), NOW + days(1)), "ok");
    assert.equal(reason(certificate("ACTIVE"), NOW + days(1) + 1), "expired");
    assert.equal(reason(certificate("ACTIVE"), NOW - days(1) - minutes(5)), "ok");
    assert.equal(reason(certificate("ACTIVE"), NOW - days(1) - minutes(5) - 1), "not-yet-valid");
    assert.equal(reason(certificate("ACTIVE"), 0), "not-yet-valid");
    assert.equal(reason(certificate("REVOKED"), NOW + days(9)), "revoked");
  });
});
