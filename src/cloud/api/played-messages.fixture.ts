/** What the HTTP API needs of a broker, played. */
import type { Message } from "../../base/mod.ts";
import type { MessagePort } from "./ports.ts";

/** A broker that keeps what is published, and has no clients. */
export class PlayedMessages implements MessagePort {
  readonly published: Message[] = [];
  readonly #retained = new Map<string, Message>();

  async publish(message: Message): Promise<void> {
    this.published.push(message);
    if (message.retain) this.#retained.set(message.topic, message);
  }

  async retained(topic: string): Promise<Message | null> {
    return this.#retained.get(topic) ?? null;
  }

  async listRetained(): ReturnType<MessagePort["listRetained"]> {
    return { found: [...this.#retained.values()], upTo: null };
  }

  endConnection(): boolean {
    return false;
  }
}
