/** Processes that look at the past, played: they answer as told, and keep what they were asked. */
import type { PastProcess, PastProcessEvents } from "../backtest/child.ts";
import type { FromPast, ToPast } from "../backtest/protocol.ts";

export class PlayedPast {
  readonly orders: ToPast[] = [];
  killed = 0;
  /** What comes after an order; nothing: it goes on and on. */
  answer: (order: ToPast) => readonly FromPast[] = () => [];
  #events: PastProcessEvents | null = null;

  readonly start = (events: PastProcessEvents): PastProcess => {
    this.#events = events;
    return {
      send: (order) => {
        this.orders.push(order);
        for (const news of this.answer(order)) queueMicrotask(() => events.news(news));
      },
      kill: () => void this.killed++,
    };
  };

  say(news: FromPast): void {
    this.#events!.news(news);
  }

  die(reason: string): void {
    this.#events!.exit(reason, "");
  }
}
