/** A connection that is made when it is needed, has a deadline on all that is asked, and is given up at the first sign of trouble. */
import { isTidewireError, reasonOf } from "../../base/mod.ts";
import type { Millis } from "../../base/mod.ts";
import { dead, forAll, targetFails } from "../../rules/mod.ts";
import type { Parcel, Verdict } from "../../rules/mod.ts";
import { tlsFault } from "./tls-faults.ts";

export interface LinkPorts<C> {
  open(): Promise<C>;
  /** Never throws; what is on the way fails. */
  drop(connection: C): void;
}

export class Link<C> {
  readonly #ports: LinkPorts<C>;
  #connection: Promise<C> | null = null;

  constructor(ports: LinkPorts<C>) {
    this.#ports = ports;
  }

  /** Whatever throws, or takes too long, ends the connection: the next batch makes a new one. */
  async carry(
    batch: readonly Parcel[],
    timeout: Millis,
    work: (connection: C) => Promise<readonly Verdict[]>,
  ): Promise<readonly Verdict[]> {
    const connection = (this.#connection ??= this.#ports.open());
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${timeout / 1000} s`)), timeout);
    });
    const done = connection.then(work);
    done.catch(() => {}); // it is told below, or too late
    try {
      return await Promise.race([done, late]);
    } catch (error) {
      this.#forget(connection);
      return forAll(batch, verdictOfFailure(error));
    } finally {
      clearTimeout(timer);
    }
  }

  /** The other side has ended it, while nothing was on the way. */
  lost(): void {
    if (this.#connection !== null) this.#forget(this.#connection);
  }

  close(): Promise<void> {
    this.lost();
    return Promise.resolve();
  }

  #forget(connection: Promise<C>): void {
    if (this.#connection === connection) this.#connection = null;
    connection.then(
      (open) => this.#ports.drop(open),
      () => {}, // it never came to be
    );
  }
}

function verdictOfFailure(error: unknown): Verdict {
  if (isTidewireError(error)) {
    if (error.code === "OUTGOING_REFUSED") return dead(error.message);
    return targetFails(String(error.details["reason"]));
  }
  const fault = tlsFault(error);
  if (fault !== null) return targetFails(fault);
  const code = (error as NodeJS.ErrnoException | null)?.code;
  const reason = reasonOf(error).slice(0, 300);
  if (reason === "") return targetFails(code ?? "the connection failed");
  return targetFails(typeof code === "string" && !reason.includes(code) ? `${reason} (${code})` : reason);
}
