/** The live WebSocket: one for the whole page, kept open by the state machine of `connection.ts`. */
import { signal } from "@preact/signals";
import type { LiveEvent, LiveRequest } from "../../cloud/api/contract.ts";
import { step } from "./connection.ts";
import type { ConnectionEffect, ConnectionInput, ConnectionState } from "./connection.ts";
import { ServerClock } from "./server-clock.ts";

export type LiveListener = (event: LiveEvent) => void;

export interface LivePorts {
  readonly open: () => WebSocket;
  readonly now: () => number;
  readonly random: () => number;
  readonly checkSession: () => void;
}

const TICK_MS = 250;

export class LiveSocket {
  readonly state = signal<ConnectionState>({ kind: "stopped" });
  /** When the connection was last known good; null before the first time. The browser's clock. */
  readonly goodAt = signal<number | null>(null);
  /**
   * Grows with the first frame of each connection. The server answers in order, so by then it knows what is watched:
   * whatever is fetched from now on leaves no gap to what arrives live.
   */
  readonly joins = signal(0);
  readonly clock = new ServerClock();
  readonly #ports: LivePorts;
  #state: ConnectionState = { kind: "stopped" };
  readonly #things = new Map<string, Set<LiveListener>>();
  readonly #fleet = new Set<LiveListener>();
  #socket: WebSocket | null = null;
  #joined = false;
  #ticking: ReturnType<typeof setInterval> | null = null;

  constructor(ports: LivePorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#ticking ??= setInterval(() => this.input({ type: "tick" }), TICK_MS);
    this.input({ type: "start" });
  }

  stop(): void {
    if (this.#ticking !== null) clearInterval(this.#ticking);
    this.#ticking = null;
    this.goodAt.value = null;
    this.input({ type: "stop" });
  }

  input(input: ConnectionInput): void {
    const before = this.#state;
    const next = step(before, input, this.#ports.now(), this.#ports.random());
    if (next.state === before && next.effects.length === 0) return;
    if (before.kind === "open" && next.state.kind !== "open" && next.state.kind !== "stopped") {
      this.goodAt.value = before.heardAt;
    }
    this.#state = next.state;
    // Being heard is no news for those who show the state.
    if (before.kind !== "open" || next.state.kind !== "open") this.state.value = next.state;
    for (const effect of next.effects) this.#run(effect);
  }

  /** Server's time now. */
  serverNow(): number {
    return this.clock.now(this.#ports.now());
  }

  /**
   * Live points of one thing. The listener first gets `watching` (again after each reconnect): from then on nothing is
   * missed. Returns how to stop.
   */
  watchThing(thing: string, listener: LiveListener): () => void {
    let listeners = this.#things.get(thing);
    if (listeners === undefined) this.#things.set(thing, (listeners = new Set()));
    listeners.add(listener);
    this.#send({ type: "watch", thing });
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.#things.get(thing) !== listeners) return;
      this.#things.delete(thing);
      this.#send({ type: "unwatch", thing });
    };
  }

  /** Presence, headline values and alerts of all things. */
  watchFleet(listener: LiveListener): () => void {
    this.#fleet.add(listener);
    if (this.#fleet.size === 1) this.#send({ type: "watch-fleet" });
    return () => {
      this.#fleet.delete(listener);
      if (this.#fleet.size === 0) this.#send({ type: "unwatch-fleet" });
    };
  }

  #run(effect: ConnectionEffect): void {
    switch (effect.type) {
      case "connect":
        return this.#connect();
      case "close":
        return this.#drop();
      case "ping":
        return this.#send({ type: "ping" });
      case "check-session":
        return this.#ports.checkSession();
    }
  }

  #connect(): void {
    this.#drop();
    this.#joined = false;
    const socket = this.#ports.open();
    this.#socket = socket;
    // Whatever an abandoned socket still says is not about this connection.
    const current = (): boolean => this.#socket === socket;
    socket.onopen = () => {
      if (!current()) return;
      this.input({ type: "opened" });
      if (this.#fleet.size > 0) this.#send({ type: "watch-fleet" });
      for (const thing of this.#things.keys()) this.#send({ type: "watch", thing });
      // Its answer says that the watches have been heard, and tells the server's time.
      this.#send({ type: "ping" });
    };
    socket.onmessage = (message) => {
      if (current() && typeof message.data === "string") this.#receive(message.data);
    };
    socket.onclose = () => {
      if (!current()) return;
      this.#socket = null;
      this.input({ type: "lost" });
    };
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #send(request: LiveRequest): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(request));
  }

  #receive(text: string): void {
    this.input({ type: "heard" });
    if (!this.#joined) this.joins.value++;
    this.#joined = true;
    const event = JSON.parse(text) as LiveEvent;
    switch (event.type) {
      case "pong":
        this.clock.sample(event.at, this.#ports.now());
        return;
      case "watching":
        this.clock.sample(event.at, this.#ports.now());
        this.#things.get(event.thing)?.forEach((listener) => listener(event));
        return;
      case "points":
      case "shadow":
        this.#things.get(event.thing)?.forEach((listener) => listener(event));
        return;
      case "presence":
      case "headline":
      case "alert":
      case "refused":
        this.#fleet.forEach((listener) => listener(event));
        return;
      case "error":
        // A refused request changes nothing that is shown: the page's own HTTP calls tell what is wrong.
        return;
    }
  }
}
