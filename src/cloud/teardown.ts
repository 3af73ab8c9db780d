/** Ends what was started, in reverse order; used for a normal stop and for a start that fails half-way. */
import type { Logger } from "../base/mod.ts";
import { reasonOf } from "../base/mod.ts";

export class Teardown {
  readonly #steps: { readonly name: string; readonly end: () => void | Promise<void> }[] = [];

  add(name: string, end: () => void | Promise<void>): void {
    this.#steps.push({ name, end });
  }

  /** One step that fails does not keep the others from ending. Safe to call twice. */
  async run(logger: Logger | null): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.end();
      } catch (error) {
        logger?.error("A part could not be ended in order.", { part: step.name, reason: reasonOf(error) });
      }
    }
  }
}
