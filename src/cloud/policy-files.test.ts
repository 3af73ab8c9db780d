import assert from "node:assert/strict";
import { test } from "node:test";
import { apiWorld } from "./api/api.fixture.ts";
import { PolicyFiles } from "./policy-files.ts";

test("policies as documents: seen as soon as they change, those of one certificate left out, what is in use never removed", async () => {
  await using world = await apiWorld();
  const { registry, clock, logger } = world;
  const files = new PolicyFiles({ registry, clock, logger });
  const document = (id: string) => ({
    Version: "2012-10-17",
    Id: id,
    Statement: [{ Effect: "Allow", Action: "iot:Connect", Resource: "*" }],
  });
  const names = (): string[] => files.list().map(({ name }) => name);
  const before = names();
  registry.policies.put("line", JSON.stringify(document("1")));
  registry.policies.put("allow-0123456789abcdef", JSON.stringify(document("1")));
  registry.policies.put(".hidden", JSON.stringify(document("1")));
  assert.deepEqual(names(), [...before, "line"].sort());

  files.make([{ name: "line", after: document("2") }]);
  files.make([{ name: "line", after: document("2") }]);
  assert.deepEqual(files.find("line"), document("2"));
  assert.equal(registry.policies.versions("line").length, 2, "again changes nothing");
  assert.throws(
    () => files.check("line", { Version: "2012-10-17", Statement: [{ Effect: "Allow" }] }),
    /Statement\[0\]/,
  );
  assert.throws(() => files.check("../line", document("1")), /no dot at the beginning/);

  registry.groups.create("belts");
  registry.policies.attach("line", "thinggroup/belts");
  files.make([{ name: "line", after: null }]);
  assert.ok(files.isNeeded("line") && files.find("line") !== null);
  registry.policies.detach("line", "thinggroup/belts");
  files.make([
    { name: "line", after: null },
    { name: "nobody", after: null },
  ]);
  assert.equal(files.find("line"), null, "with the versions before");
});
