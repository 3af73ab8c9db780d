/** A gatekeeper over a real registry. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { openRegistry } from "../adapters/sqlite/registry-store.ts";
import { days } from "../base/mod.ts";
import type { Admission, Gatekeeper } from "../broker/ports.ts";
import { DEFAULT_POLICY_DOCUMENT, DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import { Registry } from "../registry/mod.ts";
import type { CertificateFacts, PrincipalType } from "../registry/mod.ts";
import { connectPacket } from "../wire/mqtt/mod.ts";
import { RegistryGatekeeper, registryRules } from "./gatekeeper.ts";

type ConnectPacket = Parameters<Gatekeeper["admit"]>[1];

export const idOf = (n: number): string => n.toString(16).padStart(64, "0");

export class GatekeeperWorld {
  readonly clock = new SimClock();
  readonly logger = new SimLogger();
  /** With `registry.db`. */
  readonly folder = mkdtempSync(join(tmpdir(), "tidewire-gate-"));
  metrics!: SimMetrics;
  registry!: Registry;
  gatekeeper!: RegistryGatekeeper;
  readonly #opened = openRegistry(join(this.folder, "registry.db"));

  constructor() {
    this.open();
    this.registry.policies.put(DEFAULT_POLICY_NAME, DEFAULT_POLICY_DOCUMENT);
  }

  /** Also anew over the same rows. */
  open(more: { readonly principalsNamedMax?: number } = {}): void {
    const { clock, logger } = this;
    this.metrics = new SimMetrics();
    const ports = { clock, logger, metrics: this.metrics };
    const { store } = this.#opened;
    this.registry = new Registry({ store, rules: registryRules, random: new SimRandom(1), ...ports, ...more });
    this.gatekeeper = new RegistryGatekeeper({ registry: this.registry, ...ports });
  }

  close(): void {
    this.gatekeeper.close();
    this.#opened.close();
    rmSync(this.folder, { recursive: true });
  }

  factsOf(n: number): CertificateFacts {
    return {
      certificateId: idOf(n),
      serialNumber: String(n),
      subject: { CommonName: [`thing-${n}`] },
      issuer: { CommonName: ["CA"] },
      notBefore: this.clock.now() - days(1),
      notAfter: this.clock.now() + days(30),
    };
  }

  /** A thing with certificate n and the default policy, as `things add` makes it. */
  provision(n: number, type?: PrincipalType): void {
    const { things, certificates, policies } = this.registry;
    things.create(`thing-${n}`);
    certificates.register("PEM", this.factsOf(n));
    things.attach(`thing-${n}`, idOf(n), type);
    policies.attach(DEFAULT_POLICY_NAME, idOf(n));
  }

  connectAs(
    certificateId: string | null,
    clientId: string,
    change: Partial<ConnectPacket> = {},
    remoteAddress = "192.0.2.1",
  ): Admission {
    return this.gatekeeper.admit({ remoteAddress, certificateId }, packetOf(clientId, change));
  }
}

export function packetOf(clientId: string, change: Partial<ConnectPacket> = {}): ConnectPacket {
  return connectPacket({ version: 5, clientId, username: "?SDK=IoTDeviceSDK/JS", ...change });
}
