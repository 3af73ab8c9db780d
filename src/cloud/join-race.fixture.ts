/** A platform in a thread of its own, which redeems the same join codes as another at the same moment. */
import { parentPort, workerData } from "node:worker_threads";
import { createHash } from "node:crypto";
import { SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { PostgresRegistryStore, parsePostgresUrl } from "../adapters/postgres/mod.ts";
import { systemClock } from "../adapters/system.ts";
import { JOIN_FINGERPRINT_BYTES } from "../base/mod.ts";
import { JoinCodes } from "../identity/mod.ts";
import { Registry } from "../registry/mod.ts";
import { registryRules } from "./gatekeeper.ts";

export interface RaceStart {
  readonly url: string;
  readonly tenant: string;
  readonly name: string;
}

const { url, tenant, name } = workerData as RaceStart;
const store = await PostgresRegistryStore.open(parsePostgresUrl(url), new SimLogger(), tenant);
const ports = { clock: systemClock, random: new SimRandom(1), logger: new SimLogger(), metrics: new SimMetrics() };
const registry = new Registry({ ...ports, store, rules: registryRules });
const codes = new JoinCodes({
  ...ports,
  store: store.provisioning,
  isRegistered: (id) => registry.certificates.find(id) !== undefined,
  sha256: (text) => createHash("sha256").update(text).digest("hex"),
  fingerprint: () => new Uint8Array(JOIN_FINGERPRINT_BYTES),
});

/** Which of the secrets this platform has let somebody in with. */
async function race(secrets: readonly Uint8Array[]): Promise<readonly number[]> {
  const won: number[] = [];
  for (const [n, secret] of secrets.entries()) {
    const thing = `${n}-by-${name}`;
    const admitted = codes.redeem(secret, `key of ${name}`, `${name}-${n}`, async (_offer, use) => {
      await new Promise((resolve) => setImmediate(resolve)); // a certificate is issued here
      registry.atomically(() => {
        use({ thing, certificateId: `certificate of ${thing}` });
        registry.things.create(thing);
      });
      return { thing, certificateId: `certificate of ${thing}`, certificatePem: "PEM" };
    });
    await admitted.then(
      () => won.push(n),
      () => {},
    );
  }
  return won;
}

parentPort!.on("message", (secrets: readonly Uint8Array[] | null) => {
  if (secrets === null) return void store.close().then(() => parentPort!.close());
  void race(secrets).then((won) => parentPort!.postMessage(won));
});
parentPort!.postMessage("ready");
