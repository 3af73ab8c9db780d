/** Messages for and from the HTTP API: into the log and out to subscribers, as if a client had published them. */
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { Message } from "../base/mod.ts";
import type { Broker } from "../broker/mod.ts";
import type { Log } from "../log/mod.ts";
import type { PresenceBook } from "../registry/mod.ts";
import type { MessagePort } from "./api/ports.ts";

export interface MessageDeskOptions {
  readonly broker: Pick<Broker, "publishLocal" | "retained" | "endConnection" | "isClosed">;
  readonly log: Pick<Log, "durable" | "onDurable" | "onFailed">;
  readonly presence: Pick<PresenceBook, "seen">;
}

interface Waiting {
  readonly offset: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Lives as long as the log. */
export function messageDesk({ broker, log, presence }: MessageDeskOptions): MessagePort {
  /** In the order of their offsets; one for each request under way, which the HTTP server bounds. */
  let waiting: Waiting[] = [];
  log.onDurable((durable) => {
    if (waiting.length === 0 || waiting[0]!.offset >= durable) return;
    const ready = waiting.filter(({ offset }) => offset < durable);
    waiting = waiting.filter(({ offset }) => offset >= durable);
    for (const { resolve } of ready) resolve();
  });
  log.onFailed((error) => {
    const lost = waiting;
    waiting = [];
    for (const { reject } of lost)
      reject(new TidewireError("LOG_FAILED", { reason: reasonOf(error) }, { cause: error }));
  });
  return {
    publish: async (message: Message): Promise<void> => {
      if (broker.isClosed(message.topic, message.retain)) {
        throw new TidewireError("REQUEST_INVALID", {
          reason: `topic: nobody but the platform publishes to '${message.topic}'`,
        });
      }
      const offset = broker.publishLocal(message);
      if (message.thing !== null) presence.seen(message.thing);
      if (message.qos === 0 || log.durable > offset) return;
      await new Promise<void>((resolve, reject) => waiting.push({ offset, resolve, reject }));
    },
    retained: async (topic) => (await broker.retained(topic, null, 1)).found[0] ?? null,
    listRetained: (after, max) => broker.retained("#", after, max),
    endConnection: (clientId, how) => broker.endConnection(clientId, how),
  };
}
