import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TidewireError } from "../../base/mod.ts";
import type { RuleDocument } from "../model.ts";
import { redactRule, validateRule, withKeptSecrets } from "../validate.ts";

const SQL = "SELECT * FROM 'a'";
const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const KEY = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";
const identity = { certificate: CERTIFICATE, privateKey: KEY };

const rule = (action: object): unknown => ({ sql: SQL, actions: [action] });
const redis = (more: object, url = "rediss://example.com"): unknown => rule({ redis: { url, stream: "s", ...more } });

describe("TLS of servers in a rule", () => {
  for (const [given, at, reason] of [
    [redis({ ca: "../../etc/passwd" }), "actions[0].redis.ca", /name of a file of `certificates`/],
    [redis({ ca: "/etc/ssl/ca.pem" }), "actions[0].redis.ca", /name of a file/],
    [redis({ ca: "-----BEGIN CERTIFICATE-----" }), "actions[0].redis.ca", /PEM/],
    [redis({ certificate: CERTIFICATE }), "actions[0].redis.privateKey", /belong together/],
    [redis({ privateKey: KEY }), "actions[0].redis.certificate", /belong together/],
    [redis({ ca: "ca.pem" }, "redis://example.com"), "actions[0].redis.ca", /write rediss:\/\//],
    [redis({ serverName: "x" }, "redis://example.com"), "actions[0].redis.serverName", /write rediss:\/\//],
    [redis({}, "redis://example.com?tls=true"), "actions[0].redis.url", /TLS is in its scheme, rediss:\/\//],
  ] as const) {
    test(`${at}: ${reason.source}`, () => {
      assert.throws(
        () => validateRule("r", given),
        (error) => {
          assert.ok(error instanceof TidewireError);
          assert.equal(error.details["at"], at);
          assert.match(String(error.details["reason"]), reason);
          return true;
        },
      );
    });
  }

  test("a mail server may go over to TLS from the scheme without it", () => {
    const email = { url: "smtp://example.com", from: "a@example.com", to: "b@example.com", ca: CERTIFICATE };
    assert.doesNotThrow(() => validateRule("r", rule({ email })));
  });

  test("the private key is never shown, and stays where what is shown comes back", () => {
    const kept = { ...validateRule("r", redis({ ...identity, ca: "ca.pem" })), createdAt: 0, fromOffset: 0 };
    const shown = redactRule(kept satisfies RuleDocument);
    assert.doesNotMatch(JSON.stringify(shown), /hunter2/);
    assert.deepEqual(shown.actions, [
      {
        redis: { url: "rediss://example.com", stream: "s", ca: "ca.pem", certificate: CERTIFICATE, privateKey: "***" },
      },
    ]);
    const again = withKeptSecrets(validateRule("r", { sql: SQL, actions: shown.actions }), kept);
    assert.deepEqual(again.actions, kept.actions);
  });
});
