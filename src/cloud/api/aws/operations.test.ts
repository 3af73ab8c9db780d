import assert from "node:assert/strict";
import { test } from "node:test";
import * as iot from "@aws-sdk/client-iot";
import * as dataPlane from "@aws-sdk/client-iot-data-plane";
import { apiWorld } from "../api.fixture.ts";
import { AWS_OPERATIONS } from "./operations.ts";

/** What the SDK's own model says: `[9, namespace, name, {http: [method, path, status]}, …]`. */
function operationsOf(client: Readonly<Record<string, unknown>>): string[] {
  return Object.values(client).flatMap((schema) => {
    if (!Array.isArray(schema) || schema[0] !== 9) return [];
    const [, , name, { http }] = schema as [9, string, string, { http: [string, string, number] }];
    return [`${name} ${http[0]} ${http[1].split("?")[0]!}`];
  });
}

test("the table has every operation that AWS's SDKs know, with its method and path", () => {
  const table = AWS_OPERATIONS.map(([name, method, path]) => `${name} ${method} ${path}`);
  const known = [...operationsOf(iot), ...operationsOf(dataPlane)];
  assert.ok(known.length > 270, `${known.length} operations`);
  assert.deepEqual(
    known.filter((operation) => !table.includes(operation)),
    [],
  );
});

test("no operation of AWS is answered 'no such page', or by the route of another one", async () => {
  await using world = await apiWorld();
  const served = new Set(world.api.routes.map(({ method, url }) => `${method} ${url}`));
  let refused = 0;
  for (const [name, method, path] of AWS_OPERATIONS) {
    const url = path.replaceAll(/\{\w+\+?\}/g, "zz-1");
    const body = method === "GET" || method === "DELETE" ? undefined : {};
    const answer = await world.ask(method, url, body);
    const { code, message } = (answer.json ?? {}) as { readonly code?: string; readonly message?: string };
    assert.ok(!message?.includes("There is no page"), `${name}: ${message}`);
    assert.notEqual(answer.status, 500, `${name}: ${answer.text}`);
    const route = world.api.app.findRoute({ method, url: path.replaceAll(/\{(\w+)\}/g, ":$1") }) as unknown;
    if (code !== "NOT_IMPLEMENTED") continue;
    refused++;
    assert.ok(route !== undefined);
    assert.equal(answer.status, 501);
    assert.equal(answer.headers["x-amzn-errortype"], "NotImplementedException");
    assert.match(message!, new RegExp(`\\b${name}\\b`));
    assert.ok(!served.has(`${method} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`), `${name} is served and refused`);
  }
  assert.ok(refused > 100, `${refused} refused`);
});

test("an operation that is not there is refused by name, whatever body comes along, and only behind the login", async () => {
  await using world = await apiWorld();
  const text = await world.ask("PUT", "/jobs/j1", "not json", { "content-type": "text/plain" });
  assert.equal(text.status, 501);
  assert.match(text.text, /CreateJob/);
  assert.equal((await world.askAs({}, "PUT", "/jobs/j1", {})).status, 401);
});
