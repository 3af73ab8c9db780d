import assert from "node:assert/strict";
import { test } from "node:test";
import { CLIENT_PREFIX, requestOf, topicOf } from "./topics.ts";

const REQUESTS = [
  ["$aws/things/t/shadow/get", "t", "", "get", "client"],
  ["$aws/things/t/shadow/update", "t", "", "update", "client"],
  ["$aws/things/t/shadow/delete", "t", "", "delete", "client"],
  ["$aws/things/t/shadow/name/n/update", "t", "n", "update", "client"],
  ["$aws/things/t/shadow/name/update/get", "t", "update", "get", "client"],
  ["$aws/things/shadow/shadow/name/name/delete", "shadow", "name", "delete", "client"],
  ["$tidewire/things/t/shadow/update", "t", "", "update", "api"],
  ["$tidewire/things/t/shadow/name/n/delete", "t", "n", "delete", "api"],
] as const;

for (const [topic, thing, name, operation, origin] of REQUESTS) {
  test(`${topic} is a request`, () => {
    assert.deepEqual(requestOf(topic), { thing, name, operation, origin });
  });
}

const OTHERS = [
  "$aws/things/t/shadow",
  "$aws/things/t/shadow/",
  "$aws/things/t/shadow/list",
  "$aws/things/t/shadow/name/n",
  "$aws/things/t/shadow/name/n/m/update",
  "$aws/things/t/shadows/update",
  "$aws/things/t/jobs/get",
  "$aws/things/t",
  "$aws/things/",
  "telemetry/$aws/things/t/shadow/update",
  "$AWS/things/t/shadow/update",
];

for (const topic of OTHERS) {
  test(`${topic} is none`, () => assert.equal(requestOf(topic), null));
}

test("no answer is ever taken for a request, whatever the shadow is called", () => {
  const answers = ["get", "update", "delete"].flatMap((operation) => [
    `${operation}/accepted`,
    `${operation}/rejected`,
  ]);
  for (const rest of [...answers, "update/delta", "update/documents"]) {
    for (const name of ["", "update", "get", "name", "shadow", "accepted"]) {
      for (const thing of ["t", "shadow", "name"]) {
        assert.equal(requestOf(topicOf(CLIENT_PREFIX, { thing, name }, rest)), null);
      }
    }
  }
});

test("an empty shadow name is not the classic shadow", () => {
  assert.notEqual(requestOf("$aws/things/t/shadow/name//update")?.name, "");
});
