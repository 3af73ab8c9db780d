/** Users' queries, played. */
import { Readable } from "node:stream";
import type { AskAnswer, AskRequest } from "../ask/mod.ts";
import type { AskPort } from "./ports.ts";

/** Answers every query with what it is told to, and remembers what it was asked. */
export class PlayedAsker implements AskPort {
  readonly asked: AskRequest[] = [];
  answer: string | Error = '{"rows":[]}';
  incomplete = false;
  /** Set when the client of the last query has gone. */
  signal: AbortSignal | null = null;

  async ask(request: AskRequest, signal: AbortSignal): Promise<AskAnswer> {
    this.asked.push(request);
    this.signal = signal;
    if (this.answer instanceof Error) throw this.answer;
    return { stream: Readable.from([Buffer.from(this.answer)]), incomplete: this.incomplete };
  }
}
