import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { TidewireError } from "../../base/mod.ts";
import { HOT_KINDS, kindNameOf, validateAction } from "./registry.ts";

/** As AWS's own SDK has them, so that a new one is noticed. */
function actionsOfAws(): string[] {
  const at = createRequire(import.meta.url).resolve("@aws-sdk/client-iot/package.json");
  const text = readFileSync(join(dirname(at), "dist-types/models/models_0.d.ts"), "utf8");
  const [, action] = /^export interface Action \{$([^]*?)^\}$/m.exec(text)!;
  return [...action!.matchAll(/^ {4}(\w+)\?: /gm)].map(([, name]) => name!);
}

/** The minimum of those that are actions here too. */
const SAME: Readonly<Record<string, object>> = {
  republish: { roleArn: "arn:aws:iam::1:role/r", topic: "$$aws/things/x/shadow/update", qos: 1 },
  s3: { roleArn: "arn:aws:iam::1:role/r", bucketName: "plant", key: "${topic()}/${timestamp()}", cannedAcl: "private" },
  http: {
    url: "https://example.com/",
    confirmationUrl: "https://example.com/",
    headers: [{ key: "a", value: "${b}" }],
  },
};

test("every action of AWS is taken as it is, or refused with the name of what does the same here", () => {
  const names = actionsOfAws();
  assert.ok(names.length >= 24, names.join(" "));
  for (const name of names) {
    const same = SAME[name];
    if (same !== undefined) {
      assert.deepEqual(validateAction({ [name]: same }, "a"), { [name]: same });
      continue;
    }
    assert.throws(
      () => validateAction({ [name]: {} }, "a"),
      (error) => {
        assert.ok(error instanceof TidewireError);
        const reason = String(error.details["reason"]);
        assert.ok(reason.startsWith(`AWS's ${name} is no action here; use `), reason);
        const [, first] = /use (\w+)/.exec(reason)!;
        assert.ok(HOT_KINDS.some((kind) => kind === first) || first === "telemetry", reason);
        return true;
      },
    );
  }
});

test("docs/actions.md shows every kind, and what it shows is taken", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/actions.md"), "utf8");
  const [, block] = /```json\n([^]*?)```/.exec(page)!;
  const lines = block!.trim().split("\n");
  const shown = lines.map((line) => kindNameOf(validateAction(JSON.parse(line), "a")));
  assert.deepEqual(new Set(shown), new Set([...HOT_KINDS, "telemetry"]));
});
