/**
 * The hot path: messages of the log in, requests and alerts out. `handle` is synchronous and never throws; a topic that
 * no rule wants costs one Map look-up. Everything that must survive a crash is saved once a second in one transaction
 * with the checkpoint: the log offset from which the log is read again after a restart.
 */
import { LIMITS, asRuleSees, reasonOf, topicMatches } from "../base/mod.ts";
import type { Cancel, EpochMs, Message } from "../base/mod.ts";
import type { CompiledSql } from "../sql/mod.ts";
import { Acting } from "./acting.ts";
import type { Alerting } from "./alerts/alerting.ts";
import { HOT_KINDS } from "./actions/registry.ts";
import type { AskingRule, AskingRules, ReadAgain } from "./asking/asking.ts";
import type { Line } from "./asking/line.ts";
import { dismissThing, eraseThing } from "./erase-thing.ts";
import { DeadLetters } from "./delivery/dead-letters.ts";
import type { Deliveries } from "./delivery/deliveries.ts";
import { ErrorActions } from "./delivery/error-actions.ts";
import { isUnfit, ownBroker, unfitLetter } from "./delivery/unfit.ts";
import { asksAnything, filterOf, hotRule, rebased, ruleCounters } from "./hot-rule.ts";
import type { HotRule, HotRulesOptions, RuleCounters } from "./hot-rule.ts";
import { MessageInput } from "./input.ts";
import { placeOf } from "./model.ts";
import type { RuleDocument, RuleDraft, RulesLimits } from "./model.ts";
import { RuleSet } from "./rule-set.ts";
import { existing, switched } from "./rule-change.ts";
import type { RuleChanges } from "./rule-change.ts";
import { RuleActivities } from "./rule-activity.ts";
import type { ReceiverState, RuleActivity } from "./rule-activity.ts";
import { RuleMoves } from "./moves.ts";
import { RuleAlerts } from "./rule-alerts.ts";
import { RunningRules } from "./running.ts";
import { receiversOf } from "./sends.ts";
import { RuleSaves } from "./saves.ts";
import type { ForgottenState } from "./store.ts";
import { UnknownRules } from "./unknown-rules.ts";
import { openAsking, openClosings, openDeliveries, openSlices, openWindows, tellLost } from "./wiring.ts";
import { validateRule, withKeptSecrets } from "./validate.ts";
import type { Closing, Closings } from "./windows/closings.ts";
import type { SlicedSaves } from "./windows/sliced-saves.ts";
import type { WindowedRules } from "./windows/windowed-rules.ts";

/** How often deliveries that wait for too long are given up. */
const TIDY_PERIOD = 60_000;
/** How often time goes on for windows where no message comes. */
const TICK_PERIOD = 250;

export class HotRules {
  readonly alerts: Alerting;
  readonly dead: DeadLetters;
  readonly moves: RuleMoves;
  readonly #o: HotRulesOptions;
  readonly #limits: RulesLimits;
  readonly #deliveries: Deliveries;
  readonly #errors: ErrorActions;
  readonly #ruleAlerts: RuleAlerts;
  readonly #set = new RuleSet<HotRule>(HOT_KINDS, (rule, sql) => this.#hotRule(rule, sql));
  readonly #windows: WindowedRules;
  readonly #asking: AskingRules;
  readonly #saves: RuleSaves;
  readonly #slices: SlicedSaves;
  readonly #closings: Closings;
  readonly #rules = new Map<string, RuleDocument>();
  readonly #activities = new RuleActivities();
  readonly #counters: RuleCounters;
  readonly #acting: Acting;
  readonly #running: RunningRules;
  readonly #unknown: UnknownRules;
  readonly #timers: Cancel[] = [];
  /** Offset of the next message to handle. */
  #position = 0;
  /** Messages below were handled before the last stop; only rules with older state see them again. */
  #replayedUntil = 0;
  /** Offset that the log will give next; null where nobody has told yet. */
  #logEnd: (() => number) | null = null;
  /** Until when all that was due in windows was told. */
  #ticked: EpochMs | null = null;

  constructor(options: HotRulesOptions) {
    this.#o = options;
    this.#limits = options.limits ?? LIMITS.rules;
    const { metrics } = options;
    const save = (): boolean => this.#saves.save("soon");
    this.#ruleAlerts = new RuleAlerts({
      ...options,
      limits: this.#limits,
      notify: options.notify ?? [],
      config: options.alerts ?? null,
      pictures: options.pictures ?? null,
      alertOf: (name) => this.#set.get(name)?.alert ?? null,
      placeOf: (name) => placeOf(this.#rules.get(name) ?? {}),
      position: () => this.#position,
      save: () => this.#saves.save("durably"),
      inOneSave: (steps) => this.#saves.inOneSave(steps),
      enqueue: (delivery, receiver) => this.#deliveries.enqueue(delivery, receiver, true),
    });
    this.alerts = this.#ruleAlerts.alerting;
    this.#errors = new ErrorActions({ ...options, hasDied: (rule, event) => options.store.hasDied(rule, event) });
    const [limits, rules, set, errors, activities] = [
      this.#limits,
      this.#rules,
      this.#set,
      this.#errors,
      this.#activities,
    ];
    this.#deliveries = openDeliveries(options, { limits, rules, alerts: this.alerts, errors, activities, save });
    const acting = (): Acting => this.#acting;
    this.#windows = openWindows(options, { limits, set, activities, acting });
    this.#asking = openAsking(options, { limits, set, next: () => this.#next, acting, saves: () => this.#saves });
    this.dead = new DeadLetters({
      ...options,
      bodyBytesMax: this.#limits.deliveryBodyBytesMax,
      save,
      onRevived: ({ receiver, count }) => this.#deliveries.revived(receiver, count),
    });
    this.moves = this.#openMoves(options, limits);
    this.#counters = ruleCounters(metrics);
    const [deliveries, alerts] = [this.#deliveries, this.#ruleAlerts];
    this.#acting = new Acting({ ...options, limits: this.#limits, counters: this.#counters, deliveries, alerts });
    this.#saves = new RuleSaves({
      ...options,
      limits: this.#limits,
      alerts: this.alerts,
      deliveries: this.#deliveries,
      windows: this.#windows,
      asking: this.#asking,
      failures: this.#counters.saveFailures,
      finishClosing: () => this.#closings.finish(),
      tellFailures: () => this.#acting.tellFailures(this.#errors.take(), this.#rules),
      next: () => this.#next,
      ticked: () => this.#ticked,
      lost: (rows) => tellLost(rows, { ...options, deliveries, activities }),
    });
    this.#closings = openClosings(options, this.#saves);
    const { saveFailures: failures } = this.#counters;
    this.#running = this.#openRunning(options);
    this.#slices = openSlices(options, { windows: this.#windows, failures, save });
    this.#unknown = new UnknownRules({ ...options, knows: (name) => this.#rules.has(name) });
    metrics.observe({ name: "tidewire_rules", help: "Rules, disabled ones too" }, () => this.#rules.size);
  }

  #openRunning(options: HotRulesOptions): RunningRules {
    return new RunningRules({
      ...options,
      limits: this.#limits,
      rules: this.#rules,
      set: this.#set,
      activities: this.#activities,
      acting: this.#acting,
      windows: this.#windows,
      asking: this.#asking,
      deliveries: this.#deliveries,
      alerts: this.alerts,
      saves: this.#saves,
      closings: this.#closings,
      position: () => this.#position,
      next: () => this.#next,
    });
  }

  #openMoves(options: HotRulesOptions, limits: RulesLimits): RuleMoves {
    return new RuleMoves({
      ...options,
      limits,
      rules: this.#rules,
      windows: this.#windows,
      position: () => this.#position,
      settled: () => this.#position >= this.#replayedUntil,
      saveDurably: () => this.#running.saveHeld(),
      put: (rule, documents) => void this.#running.replace(rule, documents),
      alerts: this.alerts.moving,
      ticked: () => this.#ticked,
      expected: (name) => this.#set.get(name)?.expects ?? null,
      asks: (rule) => asksAnything(rule, options.keyedHash),
      asking: this.#asking,
      enter: (entering) => this.#running.enter(entering),
    });
  }

  /**
   * Loads the saved state and starts sending what waits. Resolves to the offset from which messages are wanted. Pass
   * `logNext`, the offset that the log will give next: where the log was removed, it is below what is saved here.
   * Call `follow` once the log is there.
   */
  async start(logNext: number = Infinity): Promise<number> {
    const loaded = this.#o.store.load();
    const state = rebased(loaded, logNext);
    if (state !== loaded) {
      this.#o.logger.warn("The log is shorter than what the rules have seen; they go on at its end", { logNext });
    }
    for (const rule of state.rules) this.#rules.set(rule.ruleName, rule);
    this.#position = state.checkpoint ?? 0;
    this.#replayedUntil = this.#position;
    this.#saves.start(state.checkpoint);
    this.#windows.start(state.windows, this.#position, state.toldUntil);
    this.#asking.start(state.owed);
    if (state.checkpoint === null && state.rules.length === 0) {
      for (const draft of this.#o.defaults ?? [])
        this.#adopt({ ...draft, createdAt: this.#o.clock.now(), fromOffset: 0 });
    }
    for (const broken of this.#set.replaceAll([...this.#rules.values()])) {
      this.#o.logger.error("A saved rule is not valid any more and does not run", { ...broken });
    }
    this.moves.start();
    this.#windows.started();
    this.alerts.restore(state.alerts, state.alertRows);
    this.#deliveries.start(state);
    this.#running.endOrphans(this.moves);
    this.#followContacts();
    this.#timers.push(
      this.#o.scheduler.every(this.#limits.savePeriod, () => {
        if (this.#closings.isUnderWay) return; // no time passes for alerts in the middle of it
        this.#ruleAlerts.tick();
        if (this.#saves.save("soon")) this.#slices.tick();
      }),
      this.#o.scheduler.every(TIDY_PERIOD, () => this.#tidy()),
      this.#o.scheduler.every(TICK_PERIOD, () => this.#tick()),
    );
    this.#position = Math.min(this.#position, this.#windows.oldest() ?? Infinity);
    return this.#position;
  }

  /**
   * From now on time goes on for windows whenever all of the log was handled, what rules ask is answered, and those that ask too
   * slowly can read it again.
   * `logEnd`: the offset of its next message.
   */
  follow(logEnd: () => number, readAgain: ReadAgain): void {
    this.#logEnd = logEnd;
    this.#asking.follow(readAgain);
  }

  /** The log is about to be closed: nothing more is asked, and what is not answered is for the next start. */
  unfollow(): void {
    this.#asking.close();
  }

  /** Offset below which the log had messages when this was saved last: one that ends before has lost some. */
  get known(): number {
    return this.#replayedUntil;
  }

  /** What somebody should look at; null where all is well. */
  get problem(): string | null {
    if (this.#saves.problem !== null) return `the rules' state cannot be saved: ${this.#saves.problem}`;
    const names = [...this.#windows.refused.keys()];
    if (names.length === 0) return null;
    return `the state of ${names.slice(0, 3).join(", ")}${names.length > 3 ? " and others" : ""} cannot be saved`;
  }

  /** Saves everything, also what was on its way, so that the next start replays nothing. */
  async close(): Promise<void> {
    for (const cancel of this.#timers) cancel();
    this.#closings.finish();
    this.#asking.close();
    this.#deliveries.close();
    this.#slices.close();
    this.#saves.save("at the end");
  }

  // ── messages ─────────────────────────────────────────────────────────────────────────────────

  /** Whether `handle` would do anything with a message of this topic; if not, it need not even be decoded. */
  wants(topic: string): boolean {
    return this.#set.route(topic).length > 0 || this.#unknown.isMeant(topic) || isUnfit(topic);
  }

  /** One durable message, in the order of the log. The payload must stay as it is until this returns. */
  handle(offset: number, message: Message): void {
    if (offset < this.#position) return;
    this.#closings.finish();
    this.#position = offset + 1;
    if (isUnfit(message.topic)) {
      const receiver = ownBroker(this.#o.keyedHash);
      this.#deliveries.keepDead(unfitLetter(offset, message, receiver.key), receiver);
    }
    const rules = this.#set.route(message.topic);
    if (rules.length > 0) this.#saves.inOneSave(() => this.#apply(offset, asRuleSees(message), rules));
    else this.#unknown.note(message);
  }

  /**
   * As `handle`, in short stretches: not null where windows are over that are to be closed before. It resolves when they are, and
   * then the message is to be handed over again.
   */
  take(offset: number, message: Message): Promise<void> | null {
    if (offset >= this.#position && !this.#isClosedBefore(offset, message)) return this.#closings.untilEnded();
    this.handle(offset, message);
    return null;
  }

  #isClosedBefore(offset: number, message: Message): boolean {
    if (this.#closings.isUnderWay) return false;
    let closings: Closing[] | null = null;
    for (const { rule, state, expects } of this.#set.route(message.topic)) {
      if (state === null || expects !== null || offset < rule.fromOffset) continue;
      const closing = state.closingBefore(offset, asRuleSees(message).receivedAt);
      if (closing !== null) (closings ??= []).push(closing);
    }
    return closings === null || this.#closings.begin(closings, () => {});
  }

  /** A batch is finished: everything below `next` was handled, or is gone from the log. */
  caughtUp(next: number): void {
    this.#closings.finish();
    this.#position = Math.max(this.#position, next);
    this.#windows.caughtUp(this.#position);
  }

  /** Where nothing is left to read, what is accepted later is later. */
  #tick(): void {
    if (this.#logEnd === null || this.#position < this.#logEnd()) return;
    if (this.#closings.isUnderWay) return;
    const now = this.#o.clock.now() - LIMITS.windows.tickDelay;
    this.#closings.begin(this.#windows.closingsBy(now), () => (this.#ticked = now));
  }

  /** Messages below this offset are done with for good; the log need not be replayed from further back. */
  checkpoint(): number {
    const needed = [this.#windows.oldest(), this.#asking.oldest(), this.#deliveries.oldestUnsaved()];
    return Math.min(this.#position, ...needed.map((offset) => offset ?? Infinity));
  }

  #apply(offset: number, message: Message, rules: readonly HotRule[]): void {
    const input = new MessageInput(message, this.#limits, this.#o.environment);
    for (const rule of rules) {
      if (offset < rule.rule.fromOffset) continue;
      if (rule.expects !== null && rule.line === null && rule.expects.take(message)) continue;
      try {
        if (rule.state !== null) rule.state.handle(offset, input);
        else if (rule.line !== null) rule.line.feed(offset, input);
        else if (offset >= this.#replayedUntil) this.#acting.apply(offset, input, rule);
      } catch (error) {
        this.#acting.failed(rule, offset, error);
      }
    }
  }

  // ── rules ────────────────────────────────────────────────────────────────────────────────────

  list(): RuleDocument[] {
    return [...this.#rules.values()].sort((a, b) => (a.ruleName < b.ruleName ? -1 : 1));
  }

  /** Rules that would see a message of this topic, disabled ones too. */
  listFor(topic: string): RuleDocument[] {
    return this.list().filter((rule) => topicMatches(filterOf(rule), topic));
  }

  get(ruleName: string): RuleDocument | null {
    return this.#rules.get(ruleName) ?? null;
  }

  /** What became of it since the start; null where it runs in the store process alone, and where it does not run. */
  activity(ruleName: string): Readonly<RuleActivity> | null {
    return this.#set.get(ruleName)?.activity ?? null;
  }

  /** Offset of the oldest message that it is not done with. */
  readonly positionOf = (name: string): number => Math.min(this.#position, this.#asking.positionOf(name) ?? Infinity);

  /** Those of its actions and of its error action, each once, also where it is disabled. Throws NOT_FOUND. */
  receivers(ruleName: string): ReceiverState[] {
    const receivers = receiversOf(existing(this.#rules, ruleName), this.#o.keyedHash);
    this.#saves.save("soon");
    return receivers.map((receiver) => this.#deliveries.stateOf(receiver));
  }

  /**
   * Adds or replaces a rule. A new one sees messages from `fromOffset` on (default: those not handled yet; pass the
   * log's end so that the store process starts at the same message). Throws RULE_INVALID or RULE_SQL_INVALID.
   */
  put(ruleName: string, input: unknown, fromOffset: number = this.#next): RuleDocument {
    this.change({ puts: [this.check(ruleName, input)], deletes: [], documents: [] }, fromOffset);
    return existing(this.#rules, ruleName);
  }

  /** What a user wrote, as it would be kept; what is shown instead of a secret stands for the present one. Throws as `put` does. */
  check(ruleName: string, input: unknown): RuleDraft {
    return withKeptSecrets(validateRule(ruleName, input, this.#o.environment), this.#rules.get(ruleName));
  }

  /** Puts what `check` has given and deletes, in one transaction with documents of other kinds: all of it or nothing. */
  change(changes: RuleChanges, fromOffset: number = this.#next): void {
    this.#running.change(changes, fromOffset);
  }

  /** Also drops its waiting deliveries and resolves its alerts. Throws NOT_FOUND. */
  delete(ruleName: string): void {
    this.change({ puts: [], deletes: [ruleName], documents: [] });
  }

  /** From `fromOffset` on it sees messages again; those that came while it was disabled are not made up for. */
  enable(ruleName: string, fromOffset: number = this.#next): RuleDocument {
    const rule = existing(this.#rules, ruleName);
    return rule.ruleDisabled ? this.#running.replace(switched(rule, { ruleDisabled: false, fromOffset })) : rule;
  }

  disable(ruleName: string): RuleDocument {
    const rule = existing(this.#rules, ruleName);
    return rule.ruleDisabled ? rule : this.#running.replace(switched(rule, { ruleDisabled: true }));
  }

  readonly replanAlerts = (config: Parameters<RuleAlerts["replan"]>[0]): void => {
    this.#ruleAlerts.replan(config);
    this.#followContacts();
  };

  #followContacts(): void {
    this.#ruleAlerts.followContacts(({ from, to }) => {
      this.#deliveries.release(from);
      if (!this.#saves.save("durably")) return false; // it goes to where it was made for
      this.#o.store.changeReceiver(null, from, to);
      this.#deliveries.revived(to, 0);
      return true;
    });
    this.#saves.save("soon");
  }

  /** Told after every change of the list; the store process needs it. */
  onRulesChange(listener: () => void): Cancel {
    return this.#running.onChange(listener);
  }

  /** Offset of the next message that rules without state see. */
  get #next(): number {
    return Math.max(this.#position, this.#replayedUntil);
  }

  #hotRule(rule: RuleDocument, sql: CompiledSql): HotRule {
    const from = Math.max(rule.fromOffset, this.#timers.length === 0 ? 0 : this.#next);
    const state = sql.windows === null ? null : this.#windows.put(rule.ruleName, sql.windows, from);
    const { keyedHash } = this.#o;
    const activity = this.#activities.of(rule.ruleName);
    const lineOf = (asking: AskingRule): Line | null => this.#asking.put(asking, Math.max(from, this.#next));
    return hotRule(rule, sql, { keyedHash, clearAfter: this.#limits.alertClearAfter, state, activity, lineOf });
  }

  #adopt(rule: RuleDocument): void {
    this.#o.store.putRule(rule);
    this.#rules.set(rule.ruleName, rule);
  }

  // ── things ───────────────────────────────────────────────────────────────────────────────────

  /** A thing that leaves, while what was told of it stays: its windows go, and its alerts are over. How many those were. */
  dismissThing(thing: string): number {
    const [saves, windows, asking] = [this.#saves, this.#windows, this.#asking];
    const { alerts, moves } = this;
    return dismissThing(thing, this.#position - 1, { saves, alerts, windows, asking, moves });
  }

  /** Nothing is kept of the thing: alerts, resolved ones too, and requests that carry its messages. Nobody is notified. */
  eraseThing(thing: string): ForgottenState {
    const [saves, windows, asking, deliveries] = [this.#saves, this.#windows, this.#asking, this.#deliveries];
    const { alerts, moves } = this;
    return eraseThing(thing, { ...this.#o, saves, alerts, windows, asking, deliveries, moves });
  }

  // ── saving ───────────────────────────────────────────────────────────────────────────────────

  #tidy(): void {
    try {
      this.#deliveries.tidy();
      this.#asking.tidy();
      this.#saves.save("soon");
    } catch (error) {
      this.#o.logger.error("Old deliveries could not be given up", { reason: reasonOf(error) });
    }
  }
}
