import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { isTest, sourceFiles } from "../../test/house/source.ts";
import { ENDINGS } from "./endings.cases.ts";

describe("how a connection ends [MQTT-3.14.0-1], [MQTT-4.13.1-1], [MQTT-4.13.2-1]", () => {
  for (const { what, options, act, told, connack, cause, reason, onlyFive } of ENDINGS) {
    for (const version of onlyFive ? ([5] as const) : ([5, 4] as const)) {
      test(`${what} (${version === 5 ? "5.0" : "3.1.1"})`, async () => {
        const world = await BrokerWorld.started(options);
        const client = await act(world, version);
        await world.run();
        assert.notEqual(client.state, "open");
        const goodbye = version === 5 ? (told ?? undefined) : undefined;
        assert.equal(client.last("disconnect")?.reasonCode, goodbye);
        if (connack === undefined) assert.equal(client.received[0]?.type, "connack", "it was in");
        else {
          assert.equal(client.last("connack")?.reasonCode, connack[version === 5 ? 0 : 1] ?? undefined);
        }
        const last = world.presence.findLast((event) => event.clientId === "c1" && event.type === "disconnected");
        assert.equal(last?.reason, cause);
        if (reason === undefined) return;
        assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason }), 1);
        assert.ok(world.logger.lines.some((line) => line.level === "warn" && line.fields["reason"] === reason));
      });
    }
  }
});

/** Where the room ends a connection: `connection.refuse(kind`, `refuseConnect(connection, code, kind`, `connection.disconnect(code`. */
const CALLS = [
  /(?<!refusals)\.refuse\(\s*([^,()]+),/g,
  /refuseConnect\(\s*\w+,\s*[^,]+,\s*([^,()]+),/g,
  /(?:onnection|this)\.disconnect\(\s*([^,()]+),/g,
];
/** They hand on what their callers say. */
const PASSING_ON: ReadonlySet<string> = new Set(["connection.ts code", "refuse-connect.ts kind: RefusalKind"]);

test("no line ends a connection that the table of endings does not name, and the table names no line that is not there", () => {
  const named = new Set(ENDINGS.flatMap(({ callers }) => callers));
  const found = new Set<string>();
  for (const { path, code } of sourceFiles("src/broker")) {
    if (isTest(path)) continue;
    for (const pattern of CALLS) {
      for (const [, argument] of code.matchAll(pattern)) found.add(`${path.split("/").at(-1)!} ${argument!.trim()}`);
    }
  }
  assert.ok(found.size > 15);
  assert.deepEqual([...found].filter((line) => !named.has(line) && !PASSING_ON.has(line)).sort(), []);
  assert.deepEqual([...named].filter((line) => !found.has(line)).sort(), []);
});
