/**
 * What arrives on one connection: to the functions that serve it, as much of it as the connection's share of the turn and its
 * rates allow. The rest of a chunk waits here, and the transport is paused meanwhile.
 */
import { PacketReader, REASON } from "../wire/mqtt/mod.ts";
import type { ProtocolVersion } from "../wire/mqtt/mod.ts";
import type { Connection } from "./connection.ts";
import type { HoldReason } from "./hold-reasons.ts";
import { Inbound } from "./inbound.ts";

export class Intake {
  readonly #connection: Connection;
  readonly #reader: PacketReader;
  /** Messages and deliveries that the connection may still cause in `#turn`. */
  #credit = 0;
  #turn = 0;
  /** This connection's part of `Core.partialBytes`. */
  #partialCounted = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
    const { limits, buffers: pool } = connection.core;
    this.#reader = new PacketReader(new Inbound(connection), { role: "server", limits, pool });
  }

  get version(): ProtocolVersion {
    return this.#reader.version;
  }

  /** HOT: charges rates once per chunk. What came is `chunk[0, end)`; null and 0: what was left of an earlier one. */
  take(chunk: Uint8Array | null, end: number): void {
    const connection = this.#connection;
    const { core } = connection;
    const { fairness } = core;
    if (this.#turn !== fairness.turn) {
      this.#turn = fairness.turn;
      this.#credit = fairness.creditFor();
    }
    const before = core.received;
    const credit = this.#credit;
    try {
      if (chunk !== null) this.#reader.push(chunk, end);
      else this.#goOn();
    } catch (error) {
      connection.failed(error);
    }
    this.#served();
    fairness.spent(credit - this.#credit);
    if (connection.isOver) return;
    const { partialBytes } = this.#reader;
    if (partialBytes !== this.#partialCounted) this.#countPartial(partialBytes);
    if (connection.session !== null) core.notes.progressed(connection.session);
    fairness.charge(connection, core.received - before, end);
  }

  /** What was read has been served as far as it can be now. */
  #served(): void {
    const { core } = this.#connection;
    core.fanOut.settle();
    if (core.pacing.wanted && !this.#connection.isOver) core.pacing.hold(this.#connection);
  }

  /** The connection caused `work` messages and deliveries; beyond its share, what else it sent waits for the next turn. */
  spend(work: number): void {
    this.#credit -= work;
    if (this.#credit >= 0 || this.#reader.isPaused) return;
    const connection = this.#connection;
    if (connection.isOver) return;
    this.#reader.pause();
    if (connection.isHeld("turn")) return; // its turn is being served, and `#goOn` will see it
    connection.holdRead("turn");
    connection.core.fairness.yield(connection);
  }

  #goOn(): void {
    const connection = this.#connection;
    this.#reader.resume();
    // Paused for another reason, it goes on when that is over.
    if (this.#reader.isPaused && !this.#waits && !connection.isHeld("pace")) connection.core.fairness.yield(connection);
    else connection.releaseRead("turn");
  }

  /** Nothing more is taken from the client until `release`: not even of what has arrived. */
  hold(reason: HoldReason): void {
    this.#reader.pause();
    this.#connection.holdRead(reason);
  }

  /** Calls `first`, then goes on with what the client sent behind it. */
  release(reason: HoldReason, first: () => void): void {
    const connection = this.#connection;
    if (connection.isOver) return;
    connection.receivedAt = connection.core.clock.now();
    try {
      first();
      connection.releaseRead(reason);
      if (!this.#waits && !connection.isHeld("turn")) this.#reader.resume();
    } catch (error) {
      connection.failed(error);
    }
    this.#served();
  }

  get #waits(): boolean {
    return this.#connection.isHeld("connect") || this.#connection.isHeld("gatekeeper");
  }

  /**
   * A subscriber has to catch up: this publisher is not read from for a moment. `atOnce`: what has arrived waits, too, but not
   * that of a client that owes acknowledgements: they may lie in it, behind what it publishes.
   */
  pace(atOnce: boolean): void {
    const connection = this.#connection;
    connection.holdRead("pace");
    if (atOnce && connection.session!.outbox.inFlight === 0 && this.#credit !== Infinity) this.#reader.pause();
  }

  /** What waits here is served in a turn, as others' is. */
  paceEnds(): void {
    const connection = this.#connection;
    if (this.#reader.isPaused && !connection.isOver && !connection.isHeld("turn") && !this.#waits) {
      connection.holdRead("turn");
      connection.core.fairness.goOn(connection);
    }
    connection.releaseRead("pace");
  }

  /** The client is in: packets of all kinds may come. */
  open(): void {
    this.#reader.open();
  }

  /** Goes on with an answer that may come later; until then nothing more is taken from this client. */
  whenKnown<T>(answer: T | Promise<T>, goOn: (answer: T) => void): void {
    if (!(answer instanceof Promise)) {
      goOn(answer);
      return;
    }
    this.hold("gatekeeper");
    answer.then(
      (known) => this.release("gatekeeper", () => goOn(known)),
      (error: unknown) => this.release("gatekeeper", () => this.#connection.failed(error)),
    );
  }

  /** What had arrived before the end counts, a DISCONNECT in it above all; a chunk or two, so it is done at once. */
  takeRest(): void {
    if (!this.#connection.isHeld("turn") && !this.#connection.isHeld("pace")) return;
    this.#credit = Infinity;
    try {
      this.#reader.resume();
    } catch (error) {
      this.#connection.failed(error);
    }
    this.#served();
  }

  /** Nothing is taken any more. */
  stop(): void {
    this.#reader.stop();
    this.#connection.core.partialBytes -= this.#partialCounted;
    this.#partialCounted = 0;
  }

  #countPartial(bytes: number): void {
    const connection = this.#connection;
    const { core } = connection;
    core.partialBytes += bytes - this.#partialCounted;
    this.#partialCounted = bytes;
    const { partialTotalBytesMax, packetBytesMax } = core.limits;
    if (core.partialBytes <= partialTotalBytesMax || bytes <= packetBytesMax / 64) return;
    core.reached.count("partialTotalBytesMax");
    const detail = "too much memory is taken by packets that have not arrived whole";
    connection.refuse("partial-packets", REASON.quotaExceeded, "THROTTLED", detail);
  }
}
