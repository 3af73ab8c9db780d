/** Rules that move between platforms: what the log has to say to it. The rules' own part is `rules/moves.ts`. */
import { LIMITS, TidewireError, asRuleSees } from "../../base/mod.ts";
import type { EpochMs, ForgottenThings, Message, Millis, Random, Scheduler } from "../../base/mod.ts";
import type { Log } from "../../log/mod.ts";
import { RuleRun, messageId, notMovable } from "../../rules/mod.ts";
import type { Arrival, Departure, HotRules, RuleDocument, SeenMessage } from "../../rules/mod.ts";
import { readRecord, recordFilter, recordTime, skipForgotten } from "../../wire/record/mod.ts";
import { moveLines, readMove } from "./move-file.ts";

export interface RuleMoverOptions {
  readonly rules: HotRules;
  readonly log: Pick<Log, "durable" | "offsetAt" | "read" | "readBatches">;
  readonly forgotten: ForgottenThings;
  readonly random: Random;
  readonly scheduler: Scheduler;
}

export interface DepartureView {
  readonly move: string;
  readonly to: string;
  readonly at: EpochMs;
  readonly overlap: Millis;
}

export class RuleMover {
  readonly #o: RuleMoverOptions;

  constructor(options: RuleMoverOptions) {
    this.#o = options;
  }

  /** Stops the rule. Throws NOT_FOUND, RULE_NOT_MOVABLE, STORE_UNAVAILABLE. */
  async depart(
    ruleName: string,
    { to, overlap }: { readonly to: string; readonly overlap: Millis },
  ): Promise<DepartureView> {
    const move = Buffer.from(this.#o.random.bytes(12)).toString("base64url");
    return viewOf(await this.#o.rules.moves.departAnswered(ruleName, { move, to, overlap }));
  }

  /** The rule with its secrets and its state, in lines; other work goes on between them. */
  async *lines(ruleName: string): AsyncGenerator<string> {
    const departure = this.#o.rules.moves.departure(ruleName);
    const { move, rule, position, header, pages, pageCount, expecting, alerts } = departure;
    const { overlap } = move;
    const next = position < this.#o.log.durable ? await this.#o.log.read(position) : null;
    const at = Math.min(move.at, next === null ? Infinity : recordTime(next));
    const seen = await this.#seen(departure, at - 2 * overlap);
    for (const one of expecting?.seen ?? []) if (one[1] >= at - 2 * overlap) seen.push(one);
    const { createdAt: _created, fromOffset: _from, move: _move, ruleDisabled: _off, ...draft } = rule;
    const head = { move: move.id, rule: draft, at, overlap };
    for (const line of moveLines(head, { header, pages, pageCount, seen, alerts })) {
      if (this.#o.rules.get(ruleName)?.move !== move) throw notMovable(ruleName, "it was taken back, or has left");
      yield line;
      await new Promise<void>((resolve) => this.#o.scheduler.defer(resolve));
    }
  }

  /** What was accepted since then and before it stopped, and the target may still get, or has: what was before the rule, too. */
  async #seen({ rule, position }: Departure, since: EpochMs): Promise<SeenMessage[]> {
    const { log } = this.#o;
    const run = new RuleRun({ rule: { ...rule, ruleDisabled: false }, fired: () => {} });
    const from = await log.offsetAt(since);
    const seen: SeenMessage[] = [];
    await this.#each(
      from,
      position,
      (topic) => run.wants(topic),
      (_offset, message) => {
        if (message.receivedAt < since) return;
        seen.push([messageId(asRuleSees(message)), message.receivedAt]);
        if (seen.length > LIMITS.moves.seenMax) {
          const reason = `it has seen more than ${LIMITS.moves.seenMax} messages in twice the overlap; take a shorter one`;
          throw notMovable(rule.ruleName, reason);
        }
      },
    );
    return seen;
  }

  confirm(ruleName: string, move: string): RuleDocument {
    return this.#o.rules.moves.confirm(ruleName, move);
  }

  /** It goes on here. Throws NOT_FOUND, RULE_NOT_MOVABLE, STORE_UNAVAILABLE. */
  async takeBack(ruleName: string): Promise<RuleDocument> {
    const { position } = this.#o.rules.moves.departure(ruleName);
    return this.#catchUp(this.#o.rules.moves.takeBack(ruleName), position, -Infinity);
  }

  /** Throws RULE_STATE_UNREADABLE, ALREADY_EXISTS, RULE_NOT_MOVABLE, RULE_INVALID, RULE_SQL_INVALID, STORE_UNAVAILABLE. */
  async arrive(ruleName: string, bytes: Uint8Array): Promise<{ readonly rule: string; readonly already: boolean }> {
    const { moves } = this.#o.rules;
    const { move, rule, at, overlap, state, seen, alerts } = readMove(bytes);
    if (rule.ruleName !== ruleName) {
      throw new TidewireError("RULE_STATE_UNREADABLE", { reason: `it is the rule '${rule.ruleName}'` });
    }
    if (moves.has(ruleName, move)) return { rule: ruleName, already: true };
    const from = await this.#o.log.offsetAt(at - overlap);
    const expecting = seen.length === 0 ? null : { until: at + overlap, overlap, seen };
    await this.#catchUp(moves.arrive({ move, rule, state, alerts, from, expecting }), from, at - overlap);
    return { rule: ruleName, already: false };
  }

  refuse(ruleName: string, move: string): void {
    this.#o.rules.moves.refuse(ruleName, move);
  }

  /** The log up to where all other rules are; the last step is one with starting it. `at`: of `from`. */
  async #catchUp(arrival: Arrival, from: number, at: EpochMs): Promise<RuleDocument> {
    const { moves } = this.#o.rules;
    let newest = at;
    try {
      for (let next = arrival.asks ? moves.position : from; next < moves.position;) {
        const below = moves.position;
        await this.#each(
          next,
          below,
          (topic) => arrival.wants(topic),
          (offset, message) => {
            newest = Math.max(newest, message.receivedAt);
            arrival.handle(offset, message);
          },
        );
        next = below;
      }
      return arrival.finish(moves.position, newest);
    } finally {
      arrival.abandon();
    }
  }

  async #each(
    from: number,
    below: number,
    wants: (topic: string) => boolean,
    take: (offset: number, message: Message) => void,
  ): Promise<void> {
    if (from >= below) return;
    const filter = recordFilter(wants);
    const skips = skipForgotten(this.#o.forgotten);
    for await (const batch of this.#o.log.readBatches(from, below)) {
      batch.locate((offset, bytes, start, end) => {
        if (filter(bytes, start, end) && !skips(offset, bytes, start, end)) {
          take(offset, readRecord(bytes.subarray(start, end)));
        }
      });
    }
  }
}

function viewOf({ move: { id, to, at, overlap } }: Departure): DepartureView {
  return { move: id, to, at, overlap };
}
