/** Retained messages in memory, as simply as it goes: what the store in SQLite is measured by. */
import { topicMatches } from "../src/base/mod.ts";
import { compareTopics } from "../src/broker/mod.ts";
import type { RetainedPage, RetainedSaved, RetainedStore, RetainedTotals, SavedRetained } from "../src/broker/mod.ts";

export class SimRetained implements RetainedStore {
  readonly messages = new Map<string, SavedRetained>();
  failure: Error | null = null;

  async save(changes: readonly SavedRetained[], room: RetainedTotals): Promise<RetainedSaved> {
    await this.#asked();
    const refused: SavedRetained[] = [];
    for (const change of changes) {
      this.messages.delete(change.topic);
      if (change.frame === null) continue;
      const { messages, bytes } = this.#totals();
      if (messages < room.messages && bytes + change.frame.length <= room.bytes)
        this.messages.set(change.topic, change);
      else refused.push(change);
    }
    return { ...this.#totals(), refused };
  }

  async page(filter: string, after: string | null, max: number): Promise<RetainedPage> {
    await this.#asked();
    const matching = [...this.messages.values()]
      .filter(({ topic }) => topicMatches(filter, topic) && (after === null || compareTopics(topic, after) > 0))
      .sort((a, b) => compareTopics(a.topic, b.topic));
    const found = matching.slice(0, max);
    return { found, upTo: found.length === matching.length ? null : (found.at(-1)?.topic ?? null) };
  }

  async at(offset: number): Promise<SavedRetained | null> {
    await this.#asked();
    for (const message of this.messages.values()) if (message.offset === offset) return message;
    return null;
  }

  async expire(now: number, max: number): Promise<RetainedTotals & { removed: number }> {
    await this.#asked();
    let removed = 0;
    for (const { topic, expiresAt } of this.messages.values()) {
      if (expiresAt === null || expiresAt > now || removed === max) continue;
      this.messages.delete(topic);
      removed++;
    }
    return { ...this.#totals(), removed };
  }

  async forgetFrom(offset: number): Promise<RetainedTotals> {
    await this.#asked();
    for (const message of this.messages.values()) if (message.offset >= offset) this.messages.delete(message.topic);
    return this.#totals();
  }

  #asked(): Promise<void> {
    return this.failure === null ? Promise.resolve() : Promise.reject(this.failure);
  }

  #totals(): RetainedTotals {
    let bytes = 0;
    for (const { frame } of this.messages.values()) bytes += frame!.length;
    return { messages: this.messages.size, bytes };
  }
}
