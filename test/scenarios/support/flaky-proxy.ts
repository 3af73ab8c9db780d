/** A TCP proxy that can be cut, stalled and restored: the network between an agent and its platform on a bad day. */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";

export type NetworkState = "open" | "cut" | "stalled";

export class FlakyProxy {
  #state: NetworkState = "open";
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #server: Server;
  #target: number;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    server.on("connection", (inbound) => this.#accept(inbound));
  }

  static async start(target: number): Promise<FlakyProxy> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FlakyProxy(server, target);
  }

  get port(): number {
    const address = this.#server.address();
    if (typeof address !== "object" || address === null) throw new Error("the proxy does not listen");
    return address.port;
  }

  /** Where the platform listens after it came back somewhere else. */
  retarget(port: number): void {
    this.#target = port;
  }

  /** `cut`: every connection is reset and new ones are refused. `stalled`: bytes are swallowed, connections stay. */
  set(state: NetworkState): void {
    this.#state = state;
    for (const pair of this.#pairs) {
      for (const socket of pair) {
        if (state === "cut") socket.resetAndDestroy();
        else if (state === "stalled") socket.pause();
        else socket.resume();
      }
    }
  }

  async close(): Promise<void> {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(inbound: Socket): void {
    if (this.#state === "cut") {
      inbound.resetAndDestroy();
      return;
    }
    const outbound = connect(this.#target, "127.0.0.1");
    const pair = [inbound, outbound] as const;
    this.#pairs.add(pair);
    for (const [from, to] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      from.on("data", (chunk: Buffer) => {
        if (!to.destroyed) to.write(chunk);
      });
      from.on("error", () => to.destroy());
      from.on("close", () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
    if (this.#state === "stalled") for (const socket of pair) socket.pause();
  }
}
