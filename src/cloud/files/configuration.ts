/**
 * Everything that is configured by documents: rules, and the kinds that are kept beside them. It is compared with documents that
 * somebody has in files, and changed to be like them: all at once or not at all.
 */
import { LIMITS, TidewireError, closestWord, isJsonObject, reasonOf } from "../../base/mod.ts";
import type { EpochMs, JsonObject, Logger } from "../../base/mod.ts";
import { mapRuleSecrets } from "../../rules/mod.ts";
import type { HotRules, KeyedHash, RuleDocument, RuleDraft, StoredDocument } from "../../rules/mod.ts";
import { SqlError } from "../../sql/mod.ts";
import type {
  ConfigurationChange,
  ConfigurationDocument,
  ConfigurationFault,
  ConfigurationPlan,
  ConfigurationRequest,
  ConfigurationView,
} from "../api/contract-files.ts";
import { canonicalText, inOrderOf } from "./canonical.ts";
import { Elsewhere } from "./elsewhere.ts";
import type { KindElsewhere } from "./elsewhere.ts";
import type { DocumentKind, SecretChange } from "./kind.ts";

export interface ConfigurationOptions {
  readonly rules: HotRules;
  readonly kinds: readonly DocumentKind[];
  readonly elsewhere: readonly KindElsewhere[];
  readonly logger: Logger;
  /** Those of `kinds` that are kept on disk. */
  readonly stored: readonly StoredDocument[];
  readonly keyedHash: KeyedHash;
  readonly clock: { now(): EpochMs };
  /** Offset from which a rule that is put now sees messages. */
  readonly logNext: () => number;
}

const RULE = "rule";
/** Hex digits: enough to tell two secrets apart, too few to find one by. */
const SECRET_MARK_CHARS = 8;

/** A change as it would be made, with the documents as they would be kept. */
interface Step {
  readonly kind: string;
  readonly name: string;
  readonly before: JsonObject | null;
  readonly after: JsonObject | null;
}

interface Considered {
  readonly steps: readonly Step[];
  readonly others: readonly { readonly kind: string; readonly name: string }[];
  readonly faults: readonly ConfigurationFault[];
}

export class Configuration {
  readonly #o: ConfigurationOptions;
  /** Bounded by each kind's `max`. */
  readonly #kept: ReadonlyMap<string, Map<string, JsonObject>>;
  readonly #kinds: ReadonlyMap<string, DocumentKind>;
  readonly #elsewhere: Elsewhere;

  constructor(options: ConfigurationOptions) {
    this.#o = options;
    this.#kinds = new Map(options.kinds.map((kind) => [kind.kind, kind]));
    this.#kept = new Map(options.kinds.map(({ kind }) => [kind, new Map<string, JsonObject>()]));
    for (const { kind, name, document: stored } of options.stored) {
      const { atRest } = this.#kinds.get(kind) ?? {};
      const document = stored === null || atRest === undefined ? stored : atRest.open(stored);
      if (document !== null) this.#kept.get(kind)?.set(name, document);
    }
    for (const kind of options.kinds) kind.adopt(this.#kept.get(kind.kind)!);
    const keep = (documents: readonly StoredDocument[]): void =>
      options.rules.change({ puts: [], deletes: [], documents });
    this.#elsewhere = new Elsewhere({ ...options, kinds: options.elsewhere, keep });
  }

  /** Says what runs, and when it was asked for: who changed something since is found by that. */
  get revision(): string {
    return `${this.#fingerprint()}.${this.#o.clock.now().toString(36)}`;
  }

  isCurrent(revision: string): boolean {
    return revision.split(".")[0] === this.#fingerprint();
  }

  view(): ConfigurationView {
    this.#elsewhere.settle();
    const documents = this.#all().map(({ kind, name, document }) => ({
      kind,
      name,
      document: this.#withSecrets(kind, document, (_, shown) => shown),
    }));
    return { revision: this.revision, documents };
  }

  /** One document without its secrets; null where there is none. */
  shown(kind: string, name: string): JsonObject | null {
    const document = this.#present(kind, name);
    return document === null ? null : this.#withSecrets(kind, document, (_, shown) => shown);
  }

  /** What `apply` would do. */
  plan(request: ConfigurationRequest): ConfigurationPlan {
    this.#elsewhere.settle();
    return this.#told(this.#consider(request), this.revision);
  }

  /** `revision`: what the caller has seen; null: whatever runs. Throws CONFIGURATION_CHANGED and CONFIGURATION_INVALID. */
  apply(request: ConfigurationRequest, revision: string | null): ConfigurationPlan {
    this.#elsewhere.settle();
    if (revision !== null && !this.isCurrent(revision)) {
      throw new TidewireError("CONFIGURATION_CHANGED", { changes: "its revision is another one" });
    }
    const considered = this.#consider(request);
    const [first] = considered.faults;
    if (first !== undefined) {
      const place = first.at === "" ? "" : ` at '${first.at}'`;
      const count = considered.faults.length === 1 ? "one document" : `${considered.faults.length} documents`;
      const told = `${first.kind} ${first.name}${place}: ${first.reason}`;
      throw new TidewireError("CONFIGURATION_INVALID", { count, first: told });
    }
    this.#make(considered.steps);
    return this.#told(considered, this.revision);
  }

  /** One document of a kind beside the rules. Throws what its check throws. */
  put(kind: string, name: string, input: unknown): JsonObject {
    const before = this.#kept.get(kind)!.get(name) ?? null;
    const after = this.#checked(kind, name, input);
    if (before === null) this.#room(kind, 1);
    this.#make([{ kind, name, before, after }]);
    return after;
  }

  /** Throws NOT_FOUND. */
  delete(kind: string, name: string): void {
    const before = this.#kept.get(kind)!.get(name);
    if (before === undefined) throw new TidewireError("NOT_FOUND", { kind, name });
    this.#make([{ kind, name, before, after: null }]);
  }

  #fingerprint(): string {
    const texts = this.#all().map(({ kind, name, document }) => canonicalText({ kind, name, document }));
    return this.#o.keyedHash(`configuration ${texts.join("\n")}`).slice(0, 24);
  }

  /** With their secrets. */
  #all(): ConfigurationDocument[] {
    const rules = this.#o.rules.list().map((rule) => ({ kind: RULE, name: rule.ruleName, document: documentOf(rule) }));
    const others = [...this.#kept].flatMap(([kind, documents]) =>
      [...documents].map(([name, document]) => ({ kind, name, document })),
    );
    others.push(...this.#elsewhere.all());
    return [...rules, ...others.sort((a, b) => compare(`${a.kind} ${a.name}`, `${b.kind} ${b.name}`))];
  }

  #consider({ documents, prune = false }: ConfigurationRequest): Considered {
    const faults: ConfigurationFault[] = [];
    const steps: Step[] = [];
    const given = new Set<string>();
    for (const [index, { kind, name, document }] of documents.entries()) {
      const key = `${kind} ${name}`;
      try {
        if (given.has(key)) throw documentInvalid(kind, "name", "another document of this kind has the same name");
        given.add(key);
        const after = this.#checked(kind, name, document);
        const before = this.#present(kind, name);
        if (before === null || canonicalText(before) !== canonicalText(after))
          steps.push({ kind, name, before, after });
      } catch (error) {
        faults.push(faultOf(error, { index, kind, name }));
      }
    }
    const rest = this.#all().filter(({ kind, name }) => !given.has(`${kind} ${name}`));
    const stays = ({ kind, name }: ConfigurationDocument): boolean =>
      !prune || this.#elsewhere.get(kind)?.isNeeded(name) === true;
    for (const one of rest) {
      if (!stays(one)) steps.push({ kind: one.kind, name: one.name, before: one.document, after: null });
    }
    if (faults.length === 0) faults.push(...this.#tooMany(steps));
    return { steps, others: rest.filter(stays).map(({ kind, name }) => ({ kind, name })), faults };
  }

  #tooMany(steps: readonly Step[]): ConfigurationFault[] {
    for (const kind of this.#kinds.keys()) {
      const of = steps.filter((step) => step.kind === kind);
      const more = of.filter(({ before }) => before === null).length - of.filter(({ after }) => after === null).length;
      try {
        if (more > 0) this.#room(kind, more);
      } catch (error) {
        return [faultOf(error, { index: -1, kind, name: "" })];
      }
    }
    return [];
  }

  #room(kind: string, more: number): void {
    const { max } = this.#kinds.get(kind)!;
    if (this.#kept.get(kind)!.size + more > max) throw documentInvalid(kind, "name", `there may be ${max} at most`);
  }

  #present(kind: string, name: string): JsonObject | null {
    if (kind !== RULE) return this.#kept.get(kind)?.get(name) ?? this.#elsewhere.get(kind)?.find(name) ?? null;
    const rule = this.#o.rules.get(name);
    return rule === null ? null : documentOf(rule);
  }

  #checked(kind: string, name: string, document: unknown): JsonObject {
    if (kind === RULE) return documentOf(this.#o.rules.check(name, document));
    const found = this.#kinds.get(kind);
    if (found !== undefined) return found.check(name, document, this.#present(kind, name));
    const elsewhere = this.#elsewhere.get(kind);
    if (elsewhere !== undefined) return elsewhere.check(name, document);
    const known = [RULE, ...this.#kinds.keys(), ...this.#elsewhere.kinds];
    const close = closestWord(kind, known);
    const hint = close === null ? `there are ${known.join(", ")}` : `did you mean ${close}?`;
    throw documentInvalid(kind, "kind", `this kind is not known; ${hint}`);
  }

  #make(steps: readonly Step[]): void {
    if (steps.length === 0) return;
    const rules = steps.filter(({ kind }) => kind === RULE);
    const documents = steps.filter(({ kind }) => this.#kinds.has(kind));
    const owed = this.#elsewhere.owe(steps);
    try {
      this.#o.rules.change(
        {
          puts: rules.flatMap(({ name, after }) => (after === null ? [] : [draftOf(name, after)])),
          deletes: rules.flatMap(({ name, after }) => (after === null ? [name] : [])),
          documents: [...documents.flatMap((step) => this.#stored(step)), ...owed],
        },
        this.#o.logNext(),
      );
    } catch (error) {
      this.#elsewhere.disown();
      throw error;
    }
    for (const { kind, name, after } of documents) {
      if (after === null) this.#kept.get(kind)!.delete(name);
      else this.#kept.get(kind)!.set(name, after);
    }
    for (const kind of new Set(documents.map((step) => step.kind))) {
      this.#kinds.get(kind)!.adopt(this.#kept.get(kind)!);
    }
    this.#elsewhere.settle();
  }

  #stored({ kind, name, after }: Step): StoredDocument[] {
    const found = this.#kinds.get(kind)!;
    const document = after === null ? null : (found.atRest?.seal(after) ?? after);
    return [{ kind, name, document }, ...(found.beside?.(name, after) ?? [])];
  }

  #told({ steps, others, faults }: Considered, revision: string): ConfigurationPlan {
    const { faultsToldMax } = LIMITS.files;
    const marked = (kind: string, document: JsonObject | null): JsonObject | null =>
      document === null ? null : this.#withSecrets(kind, document, (secret, shown) => this.#marked(secret, shown));
    const changes = steps.map(({ kind, name, before, after }): ConfigurationChange => ({
      kind,
      name,
      change: before === null ? "create" : after === null ? "delete" : "update",
      before: marked(kind, before === null ? null : (inOrderOf(before, after ?? before) as JsonObject)),
      after: marked(kind, after),
    }));
    const faultsLeftOut = Math.max(0, faults.length - faultsToldMax);
    return { revision, changes, others, faults: faults.slice(0, faultsToldMax), faultsLeftOut };
  }

  /** Ends with `***` like all that is shown, so that nobody makes it a secret by copying it. */
  #marked(secret: string, shown: string): string {
    const mark = this.#o.keyedHash(`secret ${secret}`).slice(0, SECRET_MARK_CHARS);
    return `${shown.replace(/\*+$/, "")}#${mark}***`;
  }

  #withSecrets(kind: string, document: JsonObject, change: SecretChange): JsonObject {
    if (kind !== RULE) return this.#kinds.get(kind)?.mapSecrets(document, change) ?? document;
    const rule = { ...draftOf("", document), createdAt: 0, fromOffset: 0 };
    return documentOf(mapRuleSecrets(rule, change));
  }
}

/** Of a rule, what a user writes; without what is not said. */
function documentOf(rule: RuleDraft | RuleDocument): JsonObject {
  const { ruleName: _name, description, sql, ruleDisabled, ...more } = rule;
  const { createdAt: _createdAt, fromOffset: _fromOffset, move: _move, ...said } = more as Partial<RuleDocument>;
  return {
    ...(description === undefined ? {} : { description }),
    sql,
    ...(ruleDisabled ? { ruleDisabled } : {}),
    ...(said as unknown as JsonObject),
  };
}

function draftOf(ruleName: string, document: JsonObject): RuleDraft {
  return { ruleName, ruleDisabled: false, ...(document as unknown as Omit<RuleDraft, "ruleName" | "ruleDisabled">) };
}

export function documentInvalid(kind: string, at: string, reason: string): TidewireError {
  return new TidewireError("DOCUMENT_INVALID", { kind: kind.slice(0, 60), at, reason });
}

/** Throws DOCUMENT_INVALID where it is none, or has keys that are not known. */
export function fieldsOf(kind: string, input: unknown, keys: readonly string[], at = ""): Record<string, unknown> {
  if (!isJsonObject(input as JsonObject)) throw documentInvalid(kind, at, "it must be an object");
  for (const key of Object.keys(input as object)) {
    if (keys.includes(key)) continue;
    const close = closestWord(key, keys);
    const hint = close === null ? `there are ${keys.join(", ")}` : `did you mean ${close}?`;
    throw documentInvalid(kind, at === "" ? key.slice(0, 60) : `${at}.${key.slice(0, 60)}`, `it is not known; ${hint}`);
  }
  return input as Record<string, unknown>;
}

function faultOf(error: unknown, which: { index: number; kind: string; name: string }): ConfigurationFault {
  if (!(error instanceof TidewireError)) throw error;
  const nowhere = { line: null, column: null };
  const { cause } = error;
  if (error.code === "RULE_SQL_INVALID" && cause instanceof SqlError) {
    const { reason, hint: fix, line, column } = cause;
    return { ...which, at: "sql", reason, fix, line, column };
  }
  const { at, reason } = error.details;
  if (typeof at === "string" && typeof reason === "string") return { ...which, at, reason, fix: null, ...nowhere };
  return { ...which, at: "", reason: reasonOf(error), fix: error.fix, ...nowhere };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
