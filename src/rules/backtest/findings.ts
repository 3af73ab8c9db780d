/** What a back-test found, in a bounded space: how often, when, on what, and the first and last of them as they would have gone out. */
import type { EpochMs, JsonValue } from "../../base/mod.ts";
import { decodeUtf8 } from "../../base/mod.ts";
import { kindNameOf } from "../actions/registry.ts";
import type { KindName } from "../actions/registry.ts";
import type { MessageInput } from "../input.ts";
import type { RuleDraft } from "../model.ts";
import { Externals } from "../../sql/mod.ts";
import type { ExternalName } from "../../sql/mod.ts";
import { RuleMatch, asScope, sendsOf } from "../sends.ts";
import type { Send } from "../sends.ts";
import { statementOf } from "../statement.ts";
import type { Firing } from "./rule-run.ts";

/** Things that are counted one by one; firings of others are counted together. */
const THINGS_MAX = 10_000;
/** Parts of the time that is looked at. */
export const BUCKETS = 60;
/** Of a body that is shown. */
const BODY_CHARS_MAX = 2_000;

export interface Example {
  readonly offset: number;
  readonly time: EpochMs;
  readonly topic: string;
  readonly thing: string;
  readonly value: JsonValue;
  /** What the actions would have sent. */
  readonly actions: readonly { readonly kind: KindName; readonly body: string }[];
}

export interface FindingsReport {
  readonly fired: number;
  readonly histogram: { readonly from: EpochMs; readonly step: number; readonly counts: readonly number[] };
  /** Those that fired most, first. */
  readonly things: readonly { readonly thing: string; readonly fired: number }[];
  /** How many things fired; more than are counted one by one where `thingsUncounted` is not 0. */
  readonly thingsCounted: number;
  /** Firings of things that were too many to be counted one by one. */
  readonly thingsUncounted: number;
  readonly actions: readonly { readonly kind: KindName; readonly times: number }[];
  readonly first: readonly Example[];
  /** Without those that are among the first. */
  readonly last: readonly Example[];
}

export interface FindingsOptions {
  readonly rule: RuleDraft;
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** At each end. */
  readonly examples: number;
}

interface Late {
  readonly firing: Firing;
  readonly input: MessageInput;
}

export class Findings {
  readonly #o: FindingsOptions;
  readonly #sends: readonly (Send | null)[];
  /** What the actions' templates ask. */
  readonly calls = new Externals();
  readonly #counts: number[] = Array.from({ length: BUCKETS }, () => 0);
  readonly #step: number;
  readonly #things = new Map<string, number>();
  readonly #first: Example[] = [];
  /** A ring of at most `examples`. */
  readonly #last: Late[] = [];
  #uncounted = 0;
  #fired = 0;

  constructor(options: FindingsOptions) {
    this.#o = options;
    this.#step = Math.max(1, Math.ceil((options.to - options.from) / BUCKETS));
    // Nothing is sent: no receiver needs to be told from another.
    this.#sends = sendsOf(options.rule, asScope(statementOf(options.rule), this.calls), () => "");
  }

  /** External functions that the actions' templates call. */
  get externals(): ExternalName[] {
    return this.calls.asked.map(({ name }) => name);
  }

  take(firing: Firing, input: MessageInput): void {
    const { from, examples } = this.#o;
    const bucket = Math.floor((firing.time - from) / this.#step);
    this.#counts[Math.max(0, Math.min(BUCKETS - 1, bucket))]!++;
    const known = this.#things.get(firing.thing);
    if (known !== undefined || this.#things.size < THINGS_MAX) this.#things.set(firing.thing, (known ?? 0) + 1);
    else this.#uncounted++;
    if (this.#fired < examples) this.#first.push(this.#exampleOf(firing, input));
    else if (examples > 0) this.#last[(this.#fired - examples) % examples] = kept(firing, input);
    this.#fired++;
  }

  report(): FindingsReport {
    const { rule, from, examples } = this.#o;
    const things = [...this.#things].map(([thing, fired]) => ({ thing, fired })).sort((a, b) => b.fired - a.fired);
    const oldest = this.#last.length < examples || examples === 0 ? 0 : (this.#fired - examples) % examples;
    const late = [...this.#last.slice(oldest), ...this.#last.slice(0, oldest)];
    return {
      fired: this.#fired,
      histogram: { from, step: this.#step, counts: [...this.#counts] },
      things: things.slice(0, 20),
      thingsCounted: this.#things.size,
      thingsUncounted: this.#uncounted,
      actions: rule.actions.map((action) => ({ kind: kindNameOf(action), times: this.#fired })),
      first: this.#first,
      last: late.map(({ firing, input }) => this.#exampleOf(firing, input)),
    };
  }

  #exampleOf(firing: Firing, input: MessageInput): Example {
    const { rule } = this.#o;
    const match = new RuleMatch(input, firing.value, rule.ruleName);
    const actions = this.#sends.flatMap((send, i) => {
      if (send === null) return [];
      const body = textOf(send.plan.render(match).body);
      return [{ kind: kindNameOf(rule.actions[i]!), body: body.slice(0, BODY_CHARS_MAX) }];
    });
    const { offset, time, topic, thing, value } = firing;
    return { offset, time, topic, thing, value: value instanceof Uint8Array ? textOf(value) : value, actions };
  }
}

/** The message's bytes belong to whoever gave them; its values may be parts of the payload, which is kept by them. */
function kept(firing: Firing, input: MessageInput): Late {
  const { value } = firing;
  return {
    firing: value instanceof Uint8Array ? { ...firing, value: value.slice() } : firing,
    input: input.kept(),
  };
}

function textOf(bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes, 0, bytes.length);
  } catch {
    return `(${bytes.length} bytes that are not text)`;
  }
}
