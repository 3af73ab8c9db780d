/** Who a kept will is of, when it is time to publish it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { arnOf } from "../../base/mod.ts";
import { GatekeeperWorld } from "../gatekeeper.fixture.ts";
import { KeptOwners } from "./kept-owners.ts";

const EVERYTHING = JSON.stringify({
  Version: "2012-10-17",
  Statement: { Effect: "Allow", Action: "iot:*", Resource: "*" },
});

test("a will that was kept: who logged in with a password or a token is asked about by that, who proved nothing may always", async () => {
  const world = new GatekeeperWorld();
  const { registry, gatekeeper, logger } = world;
  const owners = new KeptOwners({
    registry,
    gatekeeper,
    users: { rightsOf: (name) => (name === "ann" ? rights() : null) },
    keys: { rightsOf: (name) => (name === "AK1" ? rights() : null) },
    logger,
  });
  const rights = () => ({ policies: [registry.policies.describe("as-any")], things: [], certificate: null });
  registry.policies.put("as-any", EVERYTHING);
  registry.things.create("pump");
  const connection = { clientId: "pump", sourceIp: null, connectAttributes: [], willTopic: null };
  const may = (who: object): boolean => owners.mayPublish(JSON.stringify({ ...who, connection }), "pump/gone", false);
  assert.deepEqual(
    [
      may({ principal: "user/ann" }),
      may({ principal: "user/bob" }),
      may({ principal: "key/AK1" }),
      may({ principal: "key/AK2" }),
    ],
    [true, false, true, false],
  );
  assert.equal(may({ principal: "password/pump" }), false, "it has none any more");
  registry.passwords.set("pump", "hash");
  registry.policies.attach("as-any", "password/pump");
  assert.equal(may({ principal: "password/pump" }), true);
  registry.policies.detach("as-any", "password/pump");
  assert.equal(may({ principal: "password/pump" }), false);
  const token = (policies: readonly string[], thing: string | null) => ({
    principal: "jwt/pump",
    token: { thing, policies },
  });
  assert.equal(may(token(["as-any"], "pump")), true);
  assert.equal(may(token(["as-any", "gone"], "pump")), false, "a policy that is gone may have denied it");
  registry.groups.create("pumps");
  registry.groups.add("pumps", "pump");
  registry.policies.attach("as-any", arnOf.group("pumps"));
  assert.equal(may(token([], "pump")), true);
  assert.equal(may(token([], null)), false, "a subject that is called as a thing is not that thing");
  assert.equal(owners.mayPublish("{", "pump/gone", false), false);
  world.close();
});
