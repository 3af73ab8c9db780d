/**
 * How people are told of alerts, as the one document of its kind: while there is one, it holds instead of the `alerts` section of
 * the configuration file. Tokens and passwords are in it, so it is sealed on disk.
 */
import { TidewireError } from "../base/mod.ts";
import type { JsonObject, Logger } from "../base/mod.ts";
import { mapAlertSecrets, readAlertSettings } from "../rules/mod.ts";
import type { AlertConfig, AlertSettingsDocument, HotRules, RuleAction, StoredDocument } from "../rules/mod.ts";
import type { AlertSection } from "./alerts-config.ts";
import { documentInvalid } from "./files/mod.ts";
import type { DocumentKind, Documents, SecretChange } from "./files/mod.ts";

export interface AlertSettingsOptions {
  /** What the configuration file says. */
  readonly section: AlertSection;
  readonly stored: readonly StoredDocument[];
  readonly sealing: { seal(text: string, about: string): string; open(sealed: string, about: string): string | null };
  readonly logger: Logger;
}

type Config = AlertConfig<RuleAction> | null;

const ABOUT = "alert settings";

export class AlertSettings implements DocumentKind {
  readonly kind = "alerts";
  readonly max = 1;
  readonly #o: AlertSettingsOptions;
  /** Of what holds; undefined: the configuration file. */
  #document: JsonObject | undefined;
  #config: Config;
  #rules: Pick<HotRules, "replanAlerts"> | null = null;

  constructor(options: AlertSettingsOptions) {
    this.#o = options;
    const { section, stored, logger } = options;
    const sealed = stored.find(({ kind, name }) => kind === this.kind && name === this.kind)?.document ?? null;
    const found = sealed === null ? null : this.#read(sealed);
    this.#document = found?.document;
    this.#config = found?.config ?? section.alerts;
    if (found !== null && section.alerts !== null) {
      logger.warn("The `alerts` of the configuration file do not hold: the document that was applied does");
    }
  }

  /** What holds now; null: `webhooks` and `slackWebhooks` alone. */
  get config(): Config {
    return this.#config;
  }

  /** Time zone of what is told. */
  readonly zone = (): string => this.#config?.plan.zone ?? "UTC";

  /** From now on they follow what is applied. */
  follow(rules: Pick<HotRules, "replanAlerts">): void {
    this.#rules = rules;
  }

  check(name: string, input: unknown, present: JsonObject | null): JsonObject {
    if (name !== this.kind)
      throw documentInvalid(this.kind, "name", `there is one of this kind, and its name is ${this.kind}`);
    return this.#checked(input, present).document;
  }

  mapSecrets(document: JsonObject, change: SecretChange): JsonObject {
    return mapAlertSecrets(document, change);
  }

  readonly atRest = {
    seal: (document: JsonObject): JsonObject => ({ sealed: this.#o.sealing.seal(JSON.stringify(document), ABOUT) }),
    open: (sealed: JsonObject): JsonObject | null => this.#read(sealed)?.document ?? null,
  };

  adopt(documents: Documents): void {
    const document = documents.get(this.kind);
    if (JSON.stringify(document) === JSON.stringify(this.#document)) return;
    this.#document = document;
    this.#config = document === undefined ? this.#o.section.alerts : this.#checked(document, null).config;
    this.#rules?.replanAlerts(this.#config);
  }

  /** Throws DOCUMENT_INVALID, its place as the document has it. */
  #checked(input: unknown, present: JsonObject | null): AlertSettingsDocument {
    try {
      return readAlertSettings(input, present, this.#o.section);
    } catch (error) {
      if (!(error instanceof TidewireError) || error.code !== "RULE_INVALID") throw error;
      const { at, reason } = error.details;
      throw documentInvalid(this.kind, String(at).replace(/^alerts\.?/, ""), String(reason));
    }
  }

  /** Null where this platform has other keys, or this version reads it no more: then the configuration file holds. */
  #read({ sealed }: JsonObject): AlertSettingsDocument | null {
    const text = typeof sealed === "string" ? this.#o.sealing.open(sealed, ABOUT) : null;
    try {
      if (text === null) throw new Error("it does not open with this platform's key");
      return this.#checked(JSON.parse(text), null);
    } catch (error) {
      this.#o.logger.error("The applied alert settings cannot be used; the configuration file holds", { error });
      return null;
    }
  }
}
