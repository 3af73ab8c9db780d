/**
 * How fast clients may connect. After a power cut or a restart all come back at once: those above the rate wait for their
 * turn, which costs less than to refuse them and have them come again. One address that keeps on connecting is refused.
 */
import type { MqttLimits, Scheduler } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { Rate } from "./rates.ts";

/** Addresses that are remembered; beyond, those are forgotten first that have been quiet. */
const ADDRESSES_MAX = 50_000;

export class ConnectRates {
  readonly #core: Core;
  readonly #scheduler: Scheduler;
  readonly #limits: MqttLimits;
  readonly #all: Rate;
  readonly #perAddress = new Map<string, Rate>();

  constructor(core: Core, scheduler: Scheduler, limits: MqttLimits) {
    this.#core = core;
    this.#scheduler = scheduler;
    this.#limits = limits;
    this.#all = new Rate(limits.connectsPerSecondMax, limits.rateBurst);
  }

  /** Whether one more may connect from the address: at first as many as may be connected, then as many as the rate says. */
  allows(address: string): boolean {
    const now = this.#core.now();
    const { connectsPerSecondPerAddressMax: perSecond, connectionsPerAddressMax } = this.#limits;
    let rate = this.#perAddress.get(address);
    if (rate === undefined) {
      if (this.#perAddress.size >= ADDRESSES_MAX) this.#forgetQuiet();
      rate = new Rate(perSecond, (connectionsPerAddressMax / perSecond) * 1000);
      this.#perAddress.set(address, rate);
    }
    return rate.tryTake(1, now);
  }

  /** Calls `proceed` now, or when it is the client's turn; it is not read from meanwhile. */
  enter(connection: Connection, proceed: () => void): void {
    const now = this.#core.now();
    this.#all.take(1, now);
    const wait = this.#all.debt(now);
    if (wait <= 0) {
      proceed();
      return;
    }
    this.#core.limitReached("connectsPerSecondMax", connection, "a client waits for its turn to connect");
    connection.intake.hold("connect");
    this.#scheduler.after(Math.ceil(wait), () => connection.intake.release("connect", proceed));
  }

  #forgetQuiet(): void {
    const now = this.#core.now();
    for (const [address, rate] of this.#perAddress) if (rate.isFresh(now)) this.#perAddress.delete(address);
    for (const address of this.#perAddress.keys()) {
      if (this.#perAddress.size < ADDRESSES_MAX) return;
      this.#perAddress.delete(address);
    }
  }
}

export const CONNECT_RATE = {
  kind: "connect-rate",
  code: REASON.connectionRateExceeded,
  detail: "this address connects too often; wait before the next attempt",
} as const;
