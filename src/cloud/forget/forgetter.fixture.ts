/** The way out over real parts; broker, log and store process are played. */
import { join } from "node:path";
import { SimLogger, SimMetrics } from "../../../sim/world.ts";
import { systemScheduler } from "../../adapters/system.ts";
import { ForgottenThings, LIMITS } from "../../base/mod.ts";
import type { Clock, Scheduler } from "../../base/mod.ts";
import { PasswordUses } from "../logins/mod.ts";
import type { Erased, ForgetOrder } from "../store/mod.ts";
import { ForgetBook } from "./book.ts";
import { Forgetter } from "./forgetter.ts";
import type { ForgetterOptions } from "./forgetter.ts";
import { stepsOf } from "./steps.ts";
import type { Steps } from "./steps.ts";

/** Sessions and retained messages by the thing's name. */
export class PlayedBroker {
  readonly sessions = new Set<string>();
  readonly retained = new Set<string>();

  disconnect(): number {
    return 0;
  }
  async forgetThing(thing: string) {
    const [sessions, retained] = [this.sessions, this.retained].map((of) => (of.delete(thing) ? 1 : 0));
    return { connections: 0, sessions: sessions!, queued: 0, retained: retained! };
  }
  async forgetRetained(): Promise<number> {
    return 0;
  }
}

/** Has points, by the thing's name, and erases what it is told to in the next turn. */
export class PlayedPoints {
  readonly points: Set<string>;
  readonly #listeners = new Set<(erased: Erased) => void>();
  readonly #begun = new Set<string>();

  constructor(points: Set<string> = new Set()) {
    this.points = points;
  }

  holdDurable(): () => void {
    return () => {};
  }
  onErased(listener: (erased: Erased) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  setForgotten(orders: readonly ForgetOrder[]): void {
    for (const { id, thing, wanted } of orders) {
      for (const part of wanted) {
        if (this.#begun.has(`${id} ${part}`)) continue;
        this.#begun.add(`${id} ${part}`);
        setImmediate(() => {
          const points = part === "telemetry" && this.points.delete(thing) ? 1 : 0;
          const removed = part === "telemetry" ? { points } : { events: 0 };
          for (const tell of this.#listeners) tell({ id, part, removed, done: true, waiting: null });
        });
      }
    }
  }
}

export interface OpenForgetterOptions extends Pick<
  ForgetterOptions,
  "registry" | "departures" | "presence" | "passwordUses" | "rules" | "shadows"
> {
  /** The book's file. */
  readonly path: string;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly broker?: PlayedBroker;
  readonly store?: PlayedPoints;
  readonly shared?: boolean;
  readonly between?: (steps: Steps) => Steps;
}

export async function openForgetter(options: OpenForgetterOptions): Promise<Forgetter> {
  const { path, broker = new PlayedBroker(), store = new PlayedPoints(), shared = false, between } = options;
  const logger = new SimLogger();
  const book = await ForgetBook.open(path, logger);
  const log = { identity: "log-1", next: 0, first: 0 };
  const parts: ForgetterOptions = {
    ...options,
    book,
    log,
    broker,
    store,
    shared,
    logger,
    forgotten: new ForgottenThings(book.inLog(log.identity)),
    copies: async () => [],
    limits: LIMITS,
    metrics: new SimMetrics(),
  };
  const steps = stepsOf(parts);
  const forgetter = new Forgetter(parts, between === undefined ? steps : between(steps));
  Forgetter.tell({ book, forgotten: parts.forgotten, log, store });
  return forgetter;
}

/** With a book in the folder, for who needs no more of it. */
export async function startForgetter(
  folder: string,
  clock: Clock,
  parts: Pick<OpenForgetterOptions, "registry" | "presence" | "rules">,
  shadows: OpenForgetterOptions["shadows"],
  departures: OpenForgetterOptions["departures"],
): Promise<Forgetter> {
  const path = join(folder, "forgotten.json");
  const passwordUses = new PasswordUses(clock);
  const scheduler = systemScheduler;
  const forgetter = await openForgetter({ ...parts, shadows, departures, path, passwordUses, clock, scheduler });
  await forgetter.start();
  return forgetter;
}
