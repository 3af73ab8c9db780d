/** Receivers that are spoken to in HTTP. What is said, and what an answer means, is the kind's business: `rules/actions`. */
import type { Clock, Millis } from "../../base/mod.ts";
import { forAll, verdictOfError } from "../../rules/mod.ts";
import type { HmacSha256, HttpExchange, OutgoingHttp, Parcel, Receiver, Sender, Verdict } from "../../rules/mod.ts";

export interface HttpSenderPorts {
  readonly http: OutgoingHttp;
  readonly hmacSha256: HmacSha256;
  readonly clock: Clock;
}

/** Connections are the client's, which all of them share. */
export class HttpSender implements Sender {
  readonly #ports: HttpSenderPorts;
  readonly #receiver: Receiver;
  readonly #exchange: HttpExchange;

  constructor(ports: HttpSenderPorts, receiver: Receiver, exchange: HttpExchange) {
    this.#ports = ports;
    this.#receiver = receiver;
    this.#exchange = exchange;
  }

  send(batch: readonly Parcel[], timeout: Millis): Promise<readonly Verdict[]> {
    return this.#sendBefore(batch, this.#ports.clock.monotonic() + timeout);
  }

  async #sendBefore(batch: readonly Parcel[], deadline: Millis): Promise<readonly Verdict[]> {
    const { http, hmacSha256, clock } = this.#ports;
    try {
      const post = this.#exchange.request(this.#receiver.settings, batch, clock.now(), hmacSha256);
      const response = await http.post({ ...post, timeout: Math.max(1, deadline - clock.monotonic()) });
      if (batch.length > 1 && this.#exchange.splits?.(response.status) === true) {
        const half = batch.length >> 1;
        const first = await this.#sendBefore(batch.slice(0, half), deadline);
        return [...first, ...(await this.#sendBefore(batch.slice(half), deadline))];
      }
      const [{ about, ...parcel }] = batch as readonly [Parcel];
      if (about !== undefined && about.replaces !== null && this.#exchange.isGone?.(response) === true) {
        return await this.#sendBefore([{ ...parcel, about: { ...about, replaces: null } }], deadline);
      }
      return forAll(batch, this.#exchange.verdict(response, clock.now()));
    } catch (error) {
      return forAll(batch, verdictOfError(error));
    }
  }

  async close(): Promise<void> {}
}
