/**
 * A million subscriptions of a fleet: `node --expose-gc src/broker/subscription-tree.bench.ts [--json]`. Prints what a
 * match, a cached route, a subscribe and an unsubscribe cost, and what one subscription takes; asserts nothing.
 */
import { SimRandom } from "../../sim/world.ts";
import { LIMITS } from "../base/mod.ts";
import { FrameView } from "./frame.ts";
import { Session } from "./session.ts";
import type { Subscription } from "./session.ts";
import { Subscriptions } from "./subscriptions.ts";

const SUBSCRIPTIONS = 1_000_000;
const SITES = 1_000;
const SAMPLES = 200_000;
const random = new SimRandom(1);
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const sessions = Array.from({ length: 1_000 }, (_, i) => new Session(`c${i}`));

/** Nine in ten name their topic; the others have a wildcard at the end, in the middle or at the beginning. */
function filterOf(i: number): string {
  const site = `site-${i % SITES}`;
  const device = `device-${Math.floor(i / SITES)}`;
  const kind = random.below(1_000);
  if (kind < 450) return `fleet/${site}/${device}/cmd`;
  if (kind < 900) return `fleet/${site}/${device}/config/desired`;
  if (kind < 980) return `fleet/${site}/${device}/cmd/#`;
  if (kind < 999) return `fleet/${site}/+/alarm/${device}`;
  return `+/${site}/${device}/status`;
}

function topicOf(): string {
  const at = `site-${random.below(SITES)}/device-${random.below(SUBSCRIPTIONS / SITES)}`;
  return random.pick([`fleet/${at}/cmd`, `fleet/${at}/cmd/reboot`, `fleet/${at}/config/desired`, `fleet/${at}/status`]);
}

function subscriptionOf(filter: string, i: number): Subscription {
  const session = sessions[i % sessions.length]!;
  const options = { qos: 1, noLocal: false, retainAsPublished: false, identifier: 0, since: 0 } as const;
  return { kind: "session", session, filter: decoder.decode(encoder.encode(filter)), ...options }; // in one piece, as received
}

function viewOf(topic: string): FrameView {
  const view = new FrameView();
  view.lookAt(encoder.encode(topic));
  view.topicEnd = view.buffer.length;
  return view;
}

function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

interface Figures {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Microseconds. */
function timed(count: number, task: (i: number) => void): Figures {
  const each = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const from = performance.now();
    task(i);
    each[i] = (performance.now() - from) * 1000;
  }
  each.sort();
  return { p50: each[count >> 1]!, p99: each[Math.floor(count * 0.99)]!, max: each[count - 1]! };
}

const empty = heapBytes();
const all = Array.from({ length: SUBSCRIPTIONS }, (_, i) => subscriptionOf(filterOf(i), i));
const made = heapBytes();
const subscriptions = new Subscriptions(LIMITS.mqtt, 12_345);
const { routes } = subscriptions;
for (const each of all) subscriptions.add(each.filter, each);
const added = heapBytes();

const topics = Array.from({ length: SAMPLES }, topicOf);
const views = topics.map(viewOf);
const few = views.slice(0, 1_000);
const more = Array.from({ length: SAMPLES }, (_, i) => subscriptionOf(`${filterOf(i)}x`.replace("#x", "x/#"), i));
let targets = 0;
const warm = (): void => few.forEach((view) => routes.of(view));
for (let i = 0; i < 20; i++) warm();
const cold = timed(SAMPLES, (i) => (targets += routes.of(views[i]!).targets.length));
warm();
const cached = timed(SAMPLES, (i) => (targets += routes.of(few[i % few.length]!).targets.length));
const subscribe = timed(SAMPLES, (i) => subscriptions.add(more[i]!.filter, more[i]!));
warm();
/** One in ten of those who come and go has a wildcard; a publisher's route is asked after each. */
const churned = timed(SAMPLES, (i) => {
  const one = more[i]!;
  if (i % 2 === 0) subscriptions.remove(one.filter, one);
  else targets += routes.of(few[i % few.length]!).targets.length;
});
const unsubscribe = timed(SAMPLES / 2, (i) => subscriptions.remove(more[i * 2 + 1]!.filter, more[i * 2 + 1]!));

const figures = {
  cold,
  cached,
  churned,
  subscribe,
  unsubscribe,
  bytesInTree: (added - made) / SUBSCRIPTIONS,
  bytesOfSubscription: (made - empty) / SUBSCRIPTIONS,
};
if (process.argv.includes("--json")) process.stdout.write(`${JSON.stringify(figures)}\n`);
else {
  const say = (what: string, { p50, p99, max }: Figures): void =>
    void process.stdout.write(
      `${what}: p50 ${p50.toFixed(2)} µs, p99 ${p99.toFixed(2)} µs, max ${max.toFixed(0)} µs\n`,
    );
  say("match, cold route", cold);
  say("cached route", cached);
  say("unsubscribe, and a cached route after each", churned);
  say("subscribe", subscribe);
  say("unsubscribe", unsubscribe);
  const { bytesInTree, bytesOfSubscription } = figures;
  process.stdout.write(
    `one subscription: ${bytesInTree.toFixed(0)} bytes in the tree, ${bytesOfSubscription.toFixed(0)} itself and its filter (${targets} targets found)\n`,
  );
}
