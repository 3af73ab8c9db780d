/**
 * What a policy's verdict costs, as one JSON line: the real registry, gatekeeper and broker's connection, in a process of
 * its own. `node bench/identity/policy-verdicts.ts [statements]`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BrokerWorld } from "../../sim/broker.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { openRegistry } from "../../src/adapters/sqlite/registry-store.ts";
import { LIMITS, days } from "../../src/base/mod.ts";
import { Connection } from "../../src/broker/connection.ts";
import { Core } from "../../src/broker/core.ts";
import { FrameView } from "../../src/broker/frame.ts";
import type { Route } from "../../src/broker/routes.ts";
import { RegistryGatekeeper, registryRules } from "../../src/cloud/gatekeeper.ts";
import { compilePolicy, parsePolicy } from "../../src/identity/mod.ts";
import type { PolicyContext } from "../../src/identity/mod.ts";
import { Registry } from "../../src/registry/mod.ts";

const statements = Number(process.argv[2] ?? 100);
const THING = "${iot:Connection.Thing.ThingName}";
const arn = (resource: string): string => `arn:aws:iot:local:000000000000:${resource}`;

/** Nine in ten are about other topics, of all the shapes that policies have; the last allows what the device does. */
const document = JSON.stringify({
  Version: "2012-10-17",
  Statement: [
    { Effect: "Allow", Action: ["iot:Connect"], Resource: arn(`client/${THING}`) },
    ...Array.from({ length: statements - 2 }, (_, i) => {
      const shapes = [`site-${i}/*/state`, `${THING}/part-${i}/*`, `*/part-${i}/${THING}`, `site-${i}/line-?/${THING}`];
      const Effect = i % 10 === 0 ? "Deny" : "Allow";
      return { Effect, Action: ["iot:Publish", "iot:RetainPublish"], Resource: arn(`topic/${shapes[i % 4]}`) };
    }),
    { Effect: "Allow", Action: ["iot:Publish", "iot:RetainPublish"], Resource: arn(`topic/telemetry/${THING}/*`) },
  ],
});

/** Nanoseconds of each of many calls together, as p50, p99 and the slowest of `batches` batches. */
function time(
  batches: number,
  perBatch: number,
  call: (n: number) => unknown,
): { p50: number; p99: number; max: number } {
  for (let n = 0; n < 20_000; n++) call(n);
  const each: number[] = [];
  for (let batch = 0; batch < batches; batch++) {
    const begun = process.hrtime.bigint();
    for (let n = 0; n < perBatch; n++) call(batch * perBatch + n);
    each.push(Number(process.hrtime.bigint() - begun) / perBatch);
  }
  each.sort((a, b) => a - b);
  return { p50: each[batches >> 1]!, p99: each[Math.floor(batches * 0.99)]!, max: each.at(-1)! };
}

const folder = mkdtempSync(join(tmpdir(), "policy-bench-"));
const opened = openRegistry(join(folder, "registry.db"));
const [clock, logger, metrics] = [new SimClock(), new SimLogger(), new SimMetrics()];
const registry = new Registry({
  store: opened.store,
  rules: registryRules,
  clock,
  random: new SimRandom(1),
  logger,
  metrics,
});
const gatekeeper = new RegistryGatekeeper({ registry, clock, logger, metrics });
const certificateId = "ab".repeat(32);
registry.policies.put("many", document);
registry.things.create("thing-1");
registry.certificates.register("PEM", {
  certificateId,
  serialNumber: "1",
  subject: { CommonName: ["thing-1"] },
  issuer: { CommonName: ["CA"] },
  notBefore: clock.now() - days(1),
  notAfter: clock.now() + days(30),
});
registry.things.attach("thing-1", certificateId);
registry.policies.attach("many", certificateId);
const { grant } = {
  grant: gatekeeper.grant(registry.principalOf(certificateId)!, { clientId: "thing-1", sourceIp: "192.0.2.1" })!,
};
const world = new BrokerWorld();
const core = new Core({
  journal: world.journal,
  state: world.state,
  gatekeeper,
  clock: world.clock,
  scheduler: world.clock,
  random: world.random,
  logger,
  metrics,
  limits: LIMITS.mqtt,
});
const silent = {
  remoteAddress: "192.0.2.1",
  write: () => {},
  end: () => {},
  destroy: () => {},
  pause: () => {},
  resume: () => {},
};
const connection = new Connection(core, silent, { remoteAddress: "192.0.2.1", certificateId });
const admission = gatekeeper.admit(connection.peer, {
  version: 5,
  cleanStart: true,
  keepAliveSeconds: 30,
  clientId: "thing-1",
  username: null,
  password: null,
  will: null,
  sessionExpirySeconds: 0,
  receiveMaximum: 65_535,
  maximumPacketSize: 0,
  topicAliasMaximum: 0,
  requestResponseInformation: false,
  requestProblemInformation: true,
  userProperties: [],
  authenticationMethod: null,
  authenticationData: null,
});
if (!("admitted" in admission) || !admission.admitted) throw new Error("the device was not admitted");
connection.enters(admission.authorizer);

function routeOf(topic: string): Route {
  const view = new FrameView();
  view.lookAt(new TextEncoder().encode(topic));
  view.topicEnd = view.buffer.length;
  return core.routes.of(view);
}

const routes = Array.from({ length: 8 }, (_, i) => routeOf(`telemetry/thing-1/part-${i}`));
const topics = Array.from({ length: 1_000 }, (_, i) => `telemetry/thing-1/part-${i}`);
const refused = Array.from({ length: 1_000 }, (_, i) => `telemetry/thing-2/part-${i}`);
const parsed = parsePolicy(document);
const context: PolicyContext = grant.context;
const cached = time(500, 20_000, (n) => connection.mayPublish(routes[n & 7]!, false));
const cachedRetained = time(500, 20_000, (n) => connection.mayPublish(routes[n & 7]!, true));
const uncached = time(500, 400, (n) => grant.policy.publish(topics[n % 1_000]!, false));
const denied = time(500, 400, (n) => grant.policy.publish(refused[n % 1_000]!, false));
const first = time(200, 20, (n) =>
  compilePolicy([{ name: "many", document: parsed }], context).publish(topics[n % 1_000]!, false),
);
const parse = time(50, 4, () => parsePolicy(document));
process.stdout.write(
  `${JSON.stringify({ bytes: document.length, cached, cachedRetained, uncached, denied, first, parse })}\n`,
);
gatekeeper.close();
opened.close();
rmSync(folder, { recursive: true });
