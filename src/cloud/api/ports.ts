/** What the HTTP API needs from the rest of the platform; `platform.ts` connects it. */
import type { Cancel, Clock, EpochMs, Logger, Message, Metrics, Random, Scheduler } from "../../base/mod.ts";
import type { AuditScopes } from "../../adapters/audit-logger.ts";
import type { AuditPage, AuditQuery, AuditTrail } from "../../audit/mod.ts";
import type { People } from "../../people/mod.ts";
import type { RefusalQuery } from "../../identity/mod.ts";
import type { CertificateFacts, PresenceBook, Registry } from "../../registry/mod.ts";
import type { Alerting, HotRules } from "../../rules/mod.ts";
import type { SeriesQuery } from "../../telemetry/mod.ts";
import type { AskAnswer, AskRequest } from "../ask/mod.ts";
import type { BackTester } from "../backtest/mod.ts";
import type { Configuration } from "../files/mod.ts";
import type { DepartureQuery } from "../forget/mod.ts";
import type { LagPort } from "../lag.ts";
import type { SignedMoment } from "../pictures/mod.ts";
import type { RuleMover } from "../moves/mod.ts";
import type { Endpoints, Schedules } from "../events/mod.ts";
import type { TopicSchemas } from "../schemas/mod.ts";
import type { Provisioning } from "../services/mod.ts";
import type { FleetSearch } from "../search/mod.ts";
import type { AuthorityDesk } from "../authority-desk.ts";
import type { CertificateCensus } from "../certificate-census.ts";
import type { EstPorts } from "../est/routes.ts";
import type { PasswordDesk } from "../logins/mod.ts";
import type { PolicyPort } from "../policy-desk.ts";
import type { Renewals } from "../renewals.ts";
import type {
  ConnectionInfo,
  ForgetReport,
  ForgottenThings,
  Health,
  LatestValue,
  RefusalPage,
  Series,
  SeriesResult,
  ShadowNames,
} from "./contract.ts";
import type { DevicePorts } from "./device-access.ts";

/** The store process, as the API sees it. */
export interface TelemetryPort {
  query(query: SeriesQuery): Promise<SeriesResult>;
  /** The answer as a Parquet file. */
  parquet(query: SeriesQuery): Promise<ParquetAnswer>;
  latest(thing: string): Promise<readonly LatestValue[]>;
  headline(things: readonly string[], fields: readonly string[]): Promise<ReadonlyMap<string, readonly LatestValue[]>>;
  /** Resolves once every later commit will be reported through `onPoints`. */
  watch(thing: string): Promise<EpochMs>;
  unwatch(thing: string): void;
  onPoints(listener: (points: LivePoints) => void): Cancel;
  /** Points were committed that `onPoints` did not get: from `at` on the watch is whole again. */
  onRejoin(listener: (thing: string, at: EpochMs) => void): Cancel;
}

export type ParquetAnswer = { readonly bytes: Uint8Array } & Pick<SeriesResult, "truncated" | "incomplete" | "level">;

export interface LivePoints {
  readonly thing: string;
  readonly measurement: string;
  readonly series: readonly Series[];
}

/** Users' queries; see `cloud/ask`. */
export interface AskPort {
  ask(request: AskRequest, signal: AbortSignal): Promise<AskAnswer>;
}

/** The one way out for things; see `cloud/forget`. */
export interface ForgetPort {
  forget(thing: string, options: { readonly withRegistration: boolean }): Promise<ForgetReport>;
  /** Throws NOT_FOUND. */
  retire(thing: string, options: { readonly eraseData: boolean; readonly blockName: boolean }): Promise<ForgetReport>;
  /** AWS IoT's DeleteThing; false where there was none. Throws THING_HAS_PRINCIPALS, VERSION_CONFLICT. */
  delete(thing: string, expectedVersion?: number): boolean;
  /** Throws NOT_FOUND. */
  freeName(name: string): void;
  list(query: DepartureQuery): Promise<ForgottenThings>;
  /** Throws NOT_FOUND. */
  report(id: number): Promise<ForgetReport>;
}

/** Issues certificates; the private key of a CSR never comes here. */
export interface CertificateIssuer {
  /** Throws CERTIFICATE_REFUSED. */
  fromCsr(csrPem: string): Promise<IssuedCertificate>;
  withKey(): Promise<IssuedCertificate & { readonly privateKeyPem: string; readonly publicKeyPem: string }>;
  readonly caPem: string;
}

export interface IssuedCertificate {
  readonly certificatePem: string;
  readonly facts: CertificateFacts;
}

/** Messages and connections of the broker. */
export interface MessagePort {
  /** At QoS 1 resolves when it is on disk. Throws LOG_*, and REQUEST_INVALID for a topic that is the platform's own. */
  publish(message: Message): Promise<void>;
  retained(topic: string): Promise<Message | null>;
  /** By topic, behind `after`; `upTo`: the last topic that was looked at, null at the end. */
  listRetained(
    after: string | null,
    max: number,
  ): Promise<{ readonly found: readonly Message[]; readonly upTo: string | null }>;
  /** False where there is no such client. */
  endConnection(clientId: string, how: { readonly cleanSession: boolean; readonly preventWill: boolean }): boolean;
}

/** Shadows; documents are text. Throws SHADOW_*, LOG_*. */
export interface ShadowPort {
  get(key: ShadowKey): string;
  update(key: ShadowKey, payload: Uint8Array): Promise<string>;
  delete(key: ShadowKey): Promise<string>;
  list(
    thing: string,
    page: { readonly pageSize?: number | undefined; readonly nextToken?: string | undefined },
  ): ShadowNames;
  /** A `ThingShadows`. */
  all(thing: string): string;
  onChange(listener: (change: ShadowKey & { readonly version: number }) => void): Cancel;
}

/** `name` is empty for the classic shadow. */
export interface ShadowKey {
  readonly thing: string;
  readonly name: string;
}

/** Who was refused lately; a `RefusalDesk`. */
export interface RefusalPort {
  list(query: RefusalQuery): RefusalPage;
  onChange(listener: () => void): Cancel;
}

/** Pictures of alerts; see `cloud/pictures`. Null where there is nothing to show. Throws NOT_FOUND. */
export interface PicturePort {
  svg(alert: string): Promise<string | null>;
  png(alert: string, at: EpochMs): Promise<Uint8Array | null>;
  /** Throws LINK_INVALID. */
  linked(moment: SignedMoment): Promise<Uint8Array | null>;
}

export interface ApiPorts extends DevicePorts {
  readonly people: People;
  readonly audit: AuditTrail;
  readonly auditScopes: AuditScopes;
  readonly auditSearch: (query: AuditQuery) => Promise<AuditPage>;
  readonly registry: Registry;
  readonly presence: PresenceBook;
  readonly rules: HotRules;
  readonly mover: RuleMover;
  readonly alerts: Alerting;
  readonly pictures: PicturePort;
  readonly configuration: Configuration;
  readonly schedules: Pick<Schedules, "list">;
  readonly endpoints: Pick<Endpoints, "list" | "form" | "receive">;
  readonly schemas: Pick<TopicSchemas, "list" | "view" | "test">;
  readonly telemetry: TelemetryPort;
  readonly shadows: ShadowPort;
  readonly search: Pick<FleetSearch, "run" | "aggregate" | "complete">;
  readonly asker: AskPort;
  readonly lag: LagPort;
  readonly backTester: Pick<BackTester, "test" | "explain">;
  readonly forgetter: ForgetPort;
  readonly certificates: CertificateIssuer;
  readonly messages: MessagePort;
  readonly provisioning: Provisioning;
  /** Devices that enrol and renew by themselves. */
  readonly enrolment: EstPorts;
  readonly renewals: Pick<Renewals, "readmit">;
  readonly refusals: RefusalPort;
  readonly policies: PolicyPort;
  readonly passwords: PasswordDesk;
  readonly desk: AuthorityDesk;
  readonly census: Pick<CertificateCensus, "take">;
  readonly metrics: Metrics & { render(): Promise<string>; readonly contentType: string };
  readonly health: () => Health;
  /** Offset from which a rule that is put now sees messages. */
  readonly logNext: () => number;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  /** Names and addresses, beside loopback's, under which the plain listener may be asked. */
  readonly ownNames: readonly string[];
  readonly version: string;
  /** Folder of the built dashboard. */
  readonly webRoot: string;
  /** What a new device needs to know. */
  readonly connection: () => ConnectionInfo;
}
