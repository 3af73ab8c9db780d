import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import {
  ConflictException,
  DeleteThingShadowCommand,
  GetThingShadowCommand,
  InvalidRequestException,
  IoTDataPlaneClient,
  ListNamedShadowsForThingCommand,
  RequestEntityTooLargeException,
  ResourceNotFoundException,
  UnsupportedDocumentEncodingException,
  UpdateThingShadowCommand,
} from "@aws-sdk/client-iot-data-plane";
import { TOKEN, apiWorld } from "./api.fixture.ts";
import type { ApiWorld } from "./api.fixture.ts";

let world: ApiWorld;
let client: IoTDataPlaneClient;
const thingName = "lamp";

beforeEach(async () => {
  world = await apiWorld();
  world.registry.things.create(thingName);
  const { httpPort } = await world.listen();
  client = new IoTDataPlaneClient({
    endpoint: `http://127.0.0.1:${httpPort}`,
    region: "local",
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
    maxAttempts: 1,
  });
  // Until Signature V4 is understood, the administrator's token stands in its place.
  client.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers["authorization"] = `Bearer ${TOKEN}`;
      return next(args);
    },
    { step: "finalizeRequest", priority: "low" },
  );
});

afterEach(async () => {
  client.destroy();
  await world[Symbol.asyncDispose]();
});

const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const text = (payload: Uint8Array | undefined): Record<string, unknown> =>
  JSON.parse(new TextDecoder().decode(payload)) as Record<string, unknown>;

test("the AWS SDK updates, reads, lists and deletes shadows, classic and named", async () => {
  const payload = bytes({ state: { desired: { on: true } }, clientToken: "t" });
  const updated = text((await client.send(new UpdateThingShadowCommand({ thingName, payload }))).payload);
  assert.deepEqual([updated["version"], updated["clientToken"]], [1, "t"]);
  for (const shadowName of ["b", "a", "c"]) {
    await client.send(new UpdateThingShadowCommand({ thingName, shadowName, payload }));
  }
  const got = text((await client.send(new GetThingShadowCommand({ thingName, shadowName: "a" }))).payload);
  assert.deepEqual(got["state"], { desired: { on: true }, delta: { on: true } });
  const first = await client.send(new ListNamedShadowsForThingCommand({ thingName, pageSize: 2 }));
  const second = await client.send(new ListNamedShadowsForThingCommand({ thingName, nextToken: first.nextToken }));
  assert.deepEqual([first.results, second.results, second.nextToken], [["a", "b"], ["c"], undefined]);
  assert.ok(Math.abs((first.timestamp ?? 0) - world.clock.now() / 1000) <= 1);
  const gone = text((await client.send(new DeleteThingShadowCommand({ thingName, shadowName: "a" }))).payload);
  assert.equal(gone["version"], 1);
});

test("what is refused is AWS's exception, with AWS's words", async () => {
  const update = (payload: Uint8Array): Promise<unknown> =>
    client.send(new UpdateThingShadowCommand({ thingName, payload }));
  await assert.rejects(update(bytes({})), (error: Error) => {
    assert.ok(error instanceof InvalidRequestException);
    return error.message === "Missing required node: state";
  });
  await assert.rejects(update(new Uint8Array(0)), InvalidRequestException);
  await assert.rejects(update(bytes({ state: {}, version: 4 })), ConflictException);
  await assert.rejects(update(bytes({ state: { desired: "x".repeat(200_000) } })), RequestEntityTooLargeException);
  await assert.rejects(update(Uint8Array.of(0xff)), UnsupportedDocumentEncodingException);
  await assert.rejects(client.send(new GetThingShadowCommand({ thingName })), (error: Error) => {
    assert.ok(error instanceof ResourceNotFoundException);
    return error.message === "No shadow exists with name: lamp";
  });
  await assert.rejects(client.send(new DeleteThingShadowCommand({ thingName: "nobody" })), ResourceNotFoundException);
  await assert.rejects(
    client.send(new ListNamedShadowsForThingCommand({ thingName: "nobody" })),
    ResourceNotFoundException,
  );
});

test("nobody reads or changes a shadow without a login", async () => {
  for (const [method, url] of [
    ["GET", "/things/lamp/shadow"],
    ["POST", "/things/lamp/shadow"],
    ["DELETE", "/things/lamp/shadow"],
    ["GET", "/api/things/shadow/ListNamedShadowsForThing/lamp"],
  ] as const) {
    assert.equal((await world.askAs({}, method, url)).status, 401, `${method} ${url}`);
  }
});
