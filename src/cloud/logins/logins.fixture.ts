/** A simulated broker over a real registry, with eviction, for tests of who is let in without a certificate. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BrokerWorld } from "../../../sim/broker.ts";
import type { SimClient } from "../../../sim/mqtt-client.ts";
import { SimRandom } from "../../../sim/world.ts";
import { openRegistry } from "../../adapters/sqlite/registry-store.ts";
import type { Gatekeeper } from "../../broker/mod.ts";
import { DEFAULT_POLICY_DOCUMENT, DEFAULT_POLICY_NAME } from "../../identity/mod.ts";
import { Registry } from "../../registry/mod.ts";
import type { EvictionOptions } from "../gatekeeper.ts";
import { RegistryGatekeeper, evictOnChange, registryRules } from "../gatekeeper.ts";
import type { GateRefusal } from "../admission.ts";

export type ConnectPacket = Parameters<Gatekeeper["admit"]>[1];

export interface DoorWorld {
  readonly world: BrokerWorld;
  readonly registry: Registry;
  readonly gatekeeper: RegistryGatekeeper;
  readonly refusals: GateRefusal[];
  /** Sends CONNECT; resolves once it was answered. */
  readonly knock: (clientId: string, packet: Partial<ConnectPacket>, from?: string) => Promise<SimClient>;
}

const ANSWER_MS_MAX = 60_000;

export async function withDoor(work: (door: DoorWorld) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-door-"));
  const opened = openRegistry(join(folder, "registry.db"));
  const world = await BrokerWorld.started();
  const { clock, logger, metrics } = world;
  const registry = new Registry({
    store: opened.store,
    rules: registryRules,
    clock,
    random: new SimRandom(1),
    logger,
    metrics,
  });
  const refusals: GateRefusal[] = [];
  const onRefused = (refusal: GateRefusal): void => void refusals.push(refusal);
  const gatekeeper = new RegistryGatekeeper({ registry, clock, logger, metrics, onRefused });
  registry.policies.put(DEFAULT_POLICY_NAME, DEFAULT_POLICY_DOCUMENT);
  const endUnauthorized: EvictionOptions["endUnauthorized"] = (isChosen, ended) =>
    world.broker.endUnauthorized(isChosen, ended);
  const stop = evictOnChange({ registry, scheduler: clock, endUnauthorized, logger });
  const knock = async (clientId: string, packet: Partial<ConnectPacket>, from = "192.0.2.7"): Promise<SimClient> => {
    const client = world.client({ remoteAddress: from }).connect({ clientId, ...packet });
    // By the clock of the machine, not by turns: a hash takes its time in another thread, however fast the turns are.
    for (const until = Date.now() + ANSWER_MS_MAX; client.last("connack") === undefined && Date.now() < until;) {
      await world.run();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return client;
  };
  try {
    await work({ world, registry, gatekeeper, refusals, knock });
  } finally {
    stop();
    gatekeeper.close();
    opened.close();
    rmSync(folder, { recursive: true });
  }
}
