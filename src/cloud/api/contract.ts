/**
 * What travels over the HTTP API and the live WebSocket, as types only, so that the dashboard can share them.
 * Written out in full although rooms have like types of their own: this is a promise to others, and the compiler tells
 * when a change inside would break it. AWS IoT's shapes where AWS has the operation (things, certificates, rules); ours lie under `/api/`.
 *
 * Every call carries `Authorization: Bearer <token or API key>`, a signature of an access key (AWS's Signature Version 4), or
 * the dashboard's session cookie, and needs the permission that its route states; marked ones need no login. Errors
 * are `ApiError`, also those of routes that do not exist; `x-amzn-errortype` names AWS's exception.
 *
 *   GET    /healthz                                  → 200 "ok" while the process lives (no login)
 *   GET    /readyz                                   → 200 | 503 {state} (no login)
 *   GET    /metrics                                  → Prometheus text (login)
 *   POST   /api/session     {token} | {code} | {name, password} | {invitation, password}
 *                                                    → 204 and a session cookie (HttpOnly, SameSite=Strict; no login)
 *   POST   /api/invitation  {invitation}             → {name, role}: whose it is (no login)
 *   GET    /api/session                              → SessionInfo | 401
 *   DELETE /api/session                              → 204, logged out; its live connections end (no login)
 *   POST   /api/login-codes                          → {code} for a link `/#code=…` that logs in once (token only)
 *   POST   /api/account/password {current, password} → 204; the user's other sessions end
 *   GET    /api/sessions?all=                        → SessionList: one's own, or everybody's (people:read)
 *   DELETE /api/sessions/:id                         → 204; one's own, or anybody's (people:write)
 *   GET    /api/users                                → UserList
 *   POST   /api/users       {name, role}             → InvitedUser
 *   PATCH  /api/users/:name {role, disabled}         → UserView
 *   POST   /api/users/:name/invitation               → InvitedUser; the password ends
 *   DELETE /api/users/:name                          → 204, with his keys and sessions
 *   GET    /api/keys?all=                            → KeyList
 *   POST   /api/keys        NewKeyRequest            → NewKeyResult
 *   DELETE /api/keys/:id                             → 204, revoked at once
 *   GET    /api/permissions                          → {permissions, roles}
 *   POST   /api/token/rotate                         → {token}: the platform's own; the old one ends at once
 *   DELETE /api/token                                → 204, revoked
 *   GET    /api/audit?actor=&action=&target=&outcome=&since=&until=&before=&limit=   → AuditPageView, newest first; times as `from` of series
 *   GET    /api/audit/checkpoint                       → AuditCheckpointView: the newest that was signed, to be kept elsewhere
 *   GET    /api/health                               → Health
 *   GET    /api/openapi.json                         → what this comment says, as an OpenAPI 3.1 document
 *   GET    /api/connection                           → ConnectionInfo
 *   POST   /api/things/:thing/retire  {eraseData?, blockName?}  → ForgetReport: what was revoked, cut, removed and kept
 *   GET    /api/retirements?thing=&before=&limit=    → ForgottenThings: those that left with their registration
 *   GET    /api/things/:thing/password               → DevicePassword
 *   PUT    /api/things/:thing/password  {password?, policies?}  → MadePassword; one that is made is shown once
 *   DELETE /api/things/:thing/password               → {}; whoever is connected with it is cut
 *   DELETE /api/blocked-names/:name                  → {}; the name may be given again
 *   POST   /api/join-codes  {thing} | {template, parameters?}, validSeconds?, uses?  → {code, expiresAt}; the code is shown once
 *   GET    /api/join-codes                           → {codes: what they are for, without the codes}
 *   GET    /api/bulk-provisioning/:templateName      → {template, parameters: [{name, required}]}
 *   POST   /api/bulk-provisioning/:templateName?dryRun=&known=refuse|allow  NDJSON of {line?, csr, parameters}
 *                                                    → NDJSON of BulkAnswer, in the same order
 *   GET    /api/join/trust                           → {caPem} for a device with a code (no login)
 *   POST   /api/join        {secret, publicKey, proof}  → {thing, certificatePem, caPem, mqttsPort} (no login)
 *   GET    /api/provisioning-templates/:templateName/claim-policy  → the policy document of its claims
 *   PUT    /api/provisioning-templates/:templateName/claim-policy  → the same; the policy is made
 *   GET    /api/refusals?after=&limit=&thing=        → RefusalPage: who was refused lately, and what would allow it
 *   PUT    /api/policies/:policyName  {policyDocument}  → PutPolicy: made, or its new default version
 *   GET    /api/policies/:policyName/versions        → PolicyVersions
 *   POST   /api/policy-tests  {thing | certificateId, clientId?, action, resource, document?}  → PolicyAnswer
 *   POST   /api/policy-allowances  {certificateId, action, retain?, resource}  → PutPolicy: allows exactly this
 *   GET    /api/authority                            → the CAs, and what should be done about them
 *   POST   /api/authority/rollover-issuing           → the same
 *   POST   /api/authority/rollover-root              → the same
 *   POST   /api/authority/retire                     → the same
 *   GET    /api/certificates/expiring?days=          → {overdue, expired, within, certificates}
 *   POST   /api/certificates/:certificateId/readmission  {days}  → {until}
 *   POST   /api/enrolment-codes  {thing}             → {code, until}, good once for EST's simpleenroll
 *   GET    /api/registration-tasks/:taskId/reports/:type  → lines of JSON, where a report's link leads (signed, no login)
 *   GET    /crl                                      → the issuing CA's revocation list (no login, as the next two)
 *   GET    /crl/:keyId                               → the list of one of our CAs
 *   GET    /crl.pem                                  → those of all
 *   GET    /.well-known/est/cacerts                  → RFC 7030, as the next three (no login)
 *   GET    /.well-known/est/csrattrs
 *   POST   /.well-known/est/simpleenroll             (one-time code, or the device's certificate)
 *   POST   /.well-known/est/simplereenroll           (the device's certificate)
 *   POST   /.well-known/tidewire/renewal  {publicKey, proof}  → {certificatePem, trustPem} (the device's certificate)
 *   GET    /api/fleet?search=&limit=&cursor=         → FleetPage, by thing name; `search`: plain words, or a query as SearchIndex takes
 *   GET    /api/things/:thing                        → ThingDetail
 *   GET    /api/things/:thing/latest                 → LatestValues
 *   GET    /api/things/:thing/shadows                → ThingShadows
 *   DELETE /api/things/:thing/data?withRegistration= → 202 ForgetReport: everything that the device said before is being removed
 *   GET    /api/forgotten?thing=&before=&limit=      → ForgottenThings, newest first
 *   GET    /api/forgotten/:id                        → ForgetReport
 *   GET    /api/series?thing=&measurement=&fields=a,b&from=&to=&window=&aggregate=   → SeriesResult
 *   POST   /api/query       QueryRequest             → QueryResult, or NDJSON, CSV, Parquet, by `format` or `Accept`
 *   GET    /api/query?sql=&parameters=&format=&timeout=&rows=&explain=               → the same; `parameters` as JSON
 *          … &things=a,line-*&group=thing|all&top=5|bottom=5&by=avg&tz=&fill=&interpolation=&expr=&points=&limit=
 *          … &format=json|csv|ndjson|parquet&layout=long|wide, or by Accept; headers x-tidewire-level, -truncated, -incomplete, -units
 *   POST   /api/series      {the same parameters; lists where an address has commas}  → the same
 *   GET    /api/alerts?state=active|all&limit=       → AlertPage
 *                       &phase=&severity=&rule=&thing=&assignee=&text=&after=   (after: id of the page before's last)
 *   POST   /api/alerts                               → Alert   {thing, severity, summary, key?, labels?}: by hand
 *   GET    /api/alerts/:id                           → AlertStory
 *   GET    /api/alerts/:id/picture.svg               → the chart around it, as the next one
 *   GET    /api/alerts/:id/picture.png
 *   GET    /pictures/:id/chart.png?at=&until=&key=   → the same, as a notification linked it (signed, no login)
 *   POST   /api/alerts/:id/acknowledge               → Alert   {comment?}
 *   DELETE /api/alerts/:id/acknowledge               → Alert, not acknowledged any more
 *   POST   /api/alerts/:id/assign                    → Alert   {assignee: name or null}
 *   POST   /api/alerts/:id/comment                   → Alert   {comment}
 *   POST   /api/alerts/:id/snooze                    → Alert   {until}
 *   POST   /api/alerts/:id/resolve                   → Alert   {comment?}
 *   GET    /api/alert-silences                       → SilenceList
 *   POST   /api/alert-silences                       → Silence {matchers, startsAt?, endsAt, comment?}
 *   DELETE /api/alert-silences/:id                   → Silence ended now
 *   POST   /api/alert-route                          → AlertRouteAnswer {rule, thing, severity, labels?}
 *   GET    /api/dead-letters?rule=&receiver=&before=&limit=  → DeadLetterPage: what could not be delivered, newest first
 *   GET    /api/dead-letters/:number                 → DeadLetterView: with its body and fields
 *   PATCH  /api/dead-letters/:number  {body | bodyBase64, fields?}  → the letter as it is now
 *   POST   /api/dead-letters/replay  {number | rule | receiver | all: true}  → {replayed, more}
 *   POST   /api/dead-letters/drop    {number | rule | receiver | all: true}  → {dropped, more}
 *   GET    /api/dead-letters/receivers               → DeadLetterReceivers: whose they are, and how many
 *   GET    /api/rules?search=&after=&limit=          → RulePage: with what became of them since the start
 *   GET    /api/rules/:name                          → RuleDetail: with its receivers
 *   GET    /api/rules/:name/document                 → RuleDocumentView: to be changed and sent to /api/configuration
 *   POST   /api/rules/check {name, document}         → RuleCheck: what is wrong with it, and where
 *   POST   /api/rules/explain ExplainRequest         → ExplainAnswer: why the newest messages match it or do not
 *   POST   /api/rules/back-test BackTestRequest      → NDJSON of BackTestLine: what it would have done; ends with the connection
 *   POST   /api/rules/:ruleName/departure  {to, overlap?}  → {move, to, at, overlap}: the rule stops, its state beside it
 *   DELETE /api/rules/:ruleName/departure                → {}: it goes on here
 *   POST   /api/rules/:ruleName/departure/done  {move}   → {}: its target has it
 *   GET    /api/rules/:ruleName/state                    → the rule with secrets and state, application/x-tidewire-rule; administrators only
 *   PUT    /api/rules/:ruleName/state  (the same)        → {rule, already}: it goes on here from where it stopped
 *   DELETE /api/rules/:ruleName/state?move=              → {}: this move is never taken here; 409 where it was
 *   GET    /api/configuration                        → ConfigurationView; its ETag is the revision
 *   POST   /api/configuration/plan  ConfigurationRequest  → ConfigurationPlan: what a change would do
 *   PUT    /api/configuration       ConfigurationRequest, If-Match: revision | *  → ConfigurationPlan, made as a whole; 409 with who changed what
 *   GET    /api/schemas                              → {schemas: SchemaSummary[]}
 *   GET    /api/schemas/:name                        → SchemaView
 *   PUT    /api/schemas/:name  {topic, onViolation?, schema, description?}  → SchemaView
 *   DELETE /api/schemas/:name                        → 204
 *   POST   /api/schemas/:name/test  {payload}        → SchemaTest
 *   GET    /api/schedules                            → {schedules: ScheduleView[]}
 *   GET|PUT|DELETE /api/schedules/:name  {cron, timezone?, topic, payload?, missed?, …}  → the document, or 204
 *   GET    /api/endpoints                            → {endpoints: EndpointView[]}
 *   GET|PUT|DELETE /api/endpoints/:name  {topic, token, payload?, form?, …}  → the document, or 204
 *   POST   /in/:name         JSON, form, text or bytes  → {topic}, once it is on disk (the endpoint's own token)
 *   GET    /in/:name                                 → its form, where it has one (no login)
 *   WS     /api/live                                 ⇄ LiveRequest / LiveEvent, one JSON text frame each
 *
 * AWS IoT's operations:
 *
 *   GET                   /things?attributeName=&attributeValue=&thingTypeName=&maxResults=&nextToken=
 *   POST|GET|PATCH|DELETE /things/:thingName
 *   GET|POST|DELETE       /things/:thingName/shadow?name=    (the shadow's document, as AWS's data plane has it)
 *   GET                   /api/things/shadow/ListNamedShadowsForThing/:thingName?pageSize=&nextToken=
 *   PUT|DELETE|GET        /things/:thingName/principals      (header x-amzn-principal)
 *   GET                   /things/:thingName/principals-v2
 *   GET                   /things/:thingName/thing-groups
 *   GET                   /principals/things                 (header x-amzn-principal)
 *   GET                   /principals/things-v2
 *   GET                   /thing-types?thingTypeName=
 *   POST|GET|PATCH|DELETE /thing-types/:thingTypeName
 *   POST                  /thing-types/:thingTypeName/deprecate
 *   GET                   /thing-groups?parentGroup=&namePrefixFilter=&recursive=
 *   POST|GET|PATCH|DELETE /thing-groups/:thingGroupName
 *   POST|PATCH|DELETE     /dynamic-thing-groups/:thingGroupName
 *   PUT                   /thing-groups/addThingToThingGroup
 *   PUT                   /thing-groups/removeThingFromThingGroup
 *   PUT                   /thing-groups/updateThingGroupsForThing
 *   GET                   /thing-groups/:thingGroupName/things?recursive=
 *   POST                  /keys-and-certificate?setAsActive=
 *   POST|GET              /certificates?setAsActive= | ?pageSize=&marker=&isAscendingOrder=
 *   GET|PUT|DELETE        /certificates/:certificateId?newStatus= | ?forceDelete=
 *   POST                  /certificate/register
 *   POST                  /certificate/register-no-ca
 *   GET                   /certificates-by-ca/:caCertificateId
 *   GET|DELETE            /registrationcode
 *   POST                  /cacertificate?setAsActive=&allowAutoRegistration=
 *   GET                   /cacertificates
 *   GET|PUT|DELETE        /cacertificate/:certificateId?newStatus=&newAutoRegistrationStatus=
 *   GET                   /policies?pageSize=&marker=
 *   POST|GET|DELETE       /policies/:policyName
 *   POST|GET              /policies/:policyName/version?setAsDefault=
 *   GET|PATCH|DELETE      /policies/:policyName/version/:policyVersionId
 *   PUT|POST              /target-policies/:policyName       {target}: attach | detach
 *   POST                  /policy-targets/:policyName
 *   POST                  /attached-policies/:target?recursive=
 *   POST                  /effective-policies?thingName=
 *   POST                  /test-authorization?clientId=
 *   POST                  /things                            {templateBody, parameters}: RegisterThing
 *   POST|GET              /provisioning-templates
 *   GET|PATCH|DELETE      /provisioning-templates/:templateName
 *   POST|GET              /provisioning-templates/:templateName/versions?setAsDefault=
 *   GET|DELETE            /provisioning-templates/:templateName/versions/:versionId
 *   POST                  /provisioning-templates/:templateName/provisioning-claim
 *   POST|GET              /thing-registration-tasks
 *   GET                   /thing-registration-tasks/:taskId
 *   PUT                   /thing-registration-tasks/:taskId/cancel
 *   GET                   /thing-registration-tasks/:taskId/reports?reportType=RESULTS|ERRORS
 *   GET                   /indices
 *   GET                   /indices/:indexName
 *   GET|POST              /indexing/config
 *   POST                  /indices/search                    {queryString, maxResults, nextToken}: SearchIndex
 *   POST                  /indices/statistics                {queryString, aggregationField}
 *   POST                  /indices/cardinality               (the same)
 *   POST                  /indices/percentiles               (the same, with percents)
 *   POST                  /indices/buckets                   (the same, with aggregationType)
 *   GET                   /rules?topic=&ruleDisabled=&maxResults=&nextToken=
 *   POST|GET|PATCH|DELETE /rules/:ruleName
 *   POST                  /rules/:ruleName/enable
 *   POST                  /rules/:ruleName/disable
 *   POST|GET              /tags?resourceArn=
 *   POST                  /untag
 *   GET                   /endpoint?endpointType=
 *   DELETE                /connections/:clientId?cleanSession=&preventWillMessage=
 *   POST                  /topics/*?qos=&retain=&contentType=&responseTopic=&messageExpiry=
 *   GET                   /retainedMessage/*
 *   GET                   /retainedMessage?maxResults=&nextToken=
 *
 * Every other operation of AWS IoT is answered 501, by its name. Messages and connections are for devices, too: by the
 * certificate of the HTTPS connection, as far as its policies allow.
 */
import type { Alert } from "./contract-alerts.ts";
import type { DevicePassword } from "./contract-devices.ts";
import type { EpochMs, Millis } from "../../base/mod.ts";

export interface ApiError {
  /** Stable code of `docs/reference/errors.md`. */
  readonly code: string;
  readonly message: string;
  /** What to do next. */
  readonly fix: string;
}

export type {
  AuditCheckpointView,
  AuditEntryView,
  AuditPageView,
  InvitedUser,
  KeyKind,
  KeyList,
  KeyView,
  NewKeyRequest,
  NewKeyResult,
  Role,
  SessionInfo,
  SessionList,
  SessionView,
  UserList,
  UserView,
} from "./contract-people.ts";
export type {
  Alert,
  AlertPage,
  AlertPhase,
  AlertRouteAnswer,
  AlertState,
  AlertStory,
  AlertTransition,
  Severity,
  Silence,
  SilenceList,
} from "./contract-alerts.ts";
export type {
  ConfigurationChange,
  ConfigurationDocument,
  ConfigurationFault,
  ConfigurationPlan,
  ConfigurationRequest,
  ConfigurationView,
  EndpointView,
  ScheduleView,
  SchemaSummary,
  SchemaTest,
  SchemaView,
} from "./contract-files.ts";
export type {
  BulkAnswer,
  ConnectionInfo,
  ForgetReport,
  ForgottenThings,
  DevicePassword,
  MadePassword,
  PolicyAnswer,
  PolicyVersions,
  PutPolicy,
  Refusal,
  RefusalPage,
} from "./contract-devices.ts";

export type {
  BackTestCounts,
  BackTestExample,
  BackTestFindings,
  BackTestLine,
  BackTestOfRule,
  BackTestProgress,
  BackTestRequest,
  BackTestResult,
  DeadLetterHead,
  DeadLetterPage,
  DeadLetterReceivers,
  DeadLetterView,
  ExplainAnswer,
  LogLag,
  ExplainRequest,
  ExplainedMessage,
  ExplainedPart,
  RuleActionView,
  RuleActivityView,
  RuleCheck,
  RuleDetail,
  RuleDocumentView,
  RuleFault,
  RuleInput,
  RuleMishap,
  RulePage,
  RuleReceiver,
  RuleSummary,
  RuleVerdict,
} from "./contract-rules.ts";
export type { QueryParameter, QueryRequest, QueryResult } from "./contract-query.ts";
export type { ShadowDocument, ShadowNames, ShadowSections, ThingShadow, ThingShadows } from "./contract-shadows.ts";

export type HealthState = "ok" | "degraded" | "failed";

export interface Health {
  readonly state: HealthState;
  readonly version: string;
  readonly startedAt: EpochMs;
  /** This machine's name, for the header. */
  readonly host: string;
  readonly parts: readonly { readonly name: string; readonly state: HealthState; readonly detail: string }[];
}

/** `never`: registered, but it has not connected yet. */
export type PresenceState = "online" | "offline" | "never";

export interface Presence {
  readonly state: PresenceState;
  /** When it last connected, disconnected or sent something; null if never. */
  readonly lastSeenAt: EpochMs | null;
  /** Why it went offline, e.g. `MQTT_KEEP_ALIVE_TIMEOUT`; AWS IoT's names. */
  readonly disconnectReason: string | null;
  readonly remoteAddress: string | null;
}

export interface FleetEntry {
  readonly thingName: string;
  readonly thingTypeName: string | null;
  readonly attributes: Readonly<Record<string, string>>;
  readonly presence: Presence;
  readonly activeAlerts: number;
  /** A few headline values, e.g. `system/cpu.percent`. */
  readonly headline: readonly LatestValue[];
}

export interface FleetPage {
  readonly things: readonly FleetEntry[];
  /** Pass it as `cursor` for the next page; null at the end. */
  readonly cursor: string | null;
  readonly total: number;
  /** There are more than `total`: counting them all would have taken too long. */
  readonly totalIsLeast?: boolean;
  readonly online: number;
}

export interface ThingDetail extends FleetEntry {
  readonly createdAt: EpochMs;
  readonly version: number;
  readonly certificates: readonly {
    readonly certificateId: string;
    readonly status: string;
    readonly expiresAt: EpochMs;
  }[];
  /** Null: it may not log in by password, or whoever asks may not know. */
  readonly password: DevicePassword | null;
  readonly alerts: readonly Alert[];
}

export type FieldValue = number | boolean | string;

export interface LatestValue {
  readonly measurement: string;
  readonly field: string;
  readonly value: FieldValue;
  readonly time: EpochMs;
  /** What a schema of its topic says (`x-unit`): `°C`, `bar`. */
  readonly unit?: string;
}

export interface LatestValues {
  readonly thing: string;
  readonly values: readonly LatestValue[];
}

export type Aggregate =
  | "avg"
  | "min"
  | "max"
  | "count"
  | "last"
  | "first"
  | "sum"
  | "stddev"
  | "rate"
  | "delta"
  | "change"
  | "integral"
  | "twa"
  /** Percentiles: `p50`, `p99.9`. */
  | `p${number}`;

/** What an answer was made from: the points, or rollups of a minute, an hour or a day. */
export type Level = "raw" | "1m" | "1h" | "1d";

/**
 * `from` and `to`: epoch milliseconds, ISO 8601 with a zone, or relative (`-1h`, `now-7d`, `now`); half-open [from, to). `window`: `10s`, `5m`,
 * `1h`, `1d`, `1mo`, `all`; without it raw points come back. Windows are aligned to the epoch, or with `tz` to the clock
 * of a zone; a window without points is left out, unless `fill` says what stands for it (`null`, `previous`, `linear` or a
 * number). `aggregate` may name several. `group=all` takes all things as one; `top` and `bottom` keep the series with the
 * highest or lowest `by` over the whole range; `expr` is arithmetic over fields (`power * 1000 / flow`,
 * `"boiler-1".t - "boiler-2".t`); `points` chooses so many raw points that a chart of them looks as one of all.
 */
export interface SeriesResult {
  readonly thing: string;
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** Null where the points are raw; nominal for months. */
  readonly window: Millis | null;
  /** The first of them, where several were asked for. */
  readonly aggregate: Aggregate | null;
  readonly series: readonly SeriesOfResult[];
  /** True where the limit cut the answer; narrow the range or widen the window. */
  readonly truncated: boolean;
  /** The coarsest level that the answer was made from. */
  readonly level: Level;
  /** True where stored points that belong here are damaged and left out; the platform's health says more. */
  readonly incomplete: boolean;
}

export interface SeriesOfResult {
  /** Where the query may name several things. */
  readonly thing?: string;
  readonly measurement: string;
  /** Of an expression: its text. */
  readonly field: string;
  readonly type: "number" | "boolean" | "string";
  /** Where the query names several. */
  readonly aggregate?: Aggregate;
  /** What a schema of its topic says (`x-unit`), as it is after the aggregate: `m³`, of a rate `m³/s`. */
  readonly unit?: string;
  /** How many points these stand for, where there were more than the `points` asked for. */
  readonly reducedFrom?: number;
  /** Ascending; same length as `values`. */
  readonly times: readonly EpochMs[];
  /** Null with `fill=null` only. */
  readonly values: readonly (FieldValue | null)[];
}

export interface Series {
  readonly measurement: string;
  readonly field: string;
  readonly type: "number" | "boolean" | "string";
  /** Ascending; same length as `values`. */
  readonly times: readonly EpochMs[];
  readonly values: readonly FieldValue[];
}

/** What a dashboard sends. A later `watch` of the same thing replaces the earlier one. */
export type LiveRequest =
  | { readonly type: "watch"; readonly thing: string; readonly measurement?: string }
  | { readonly type: "unwatch"; readonly thing: string }
  /** Presence of all things, headline values and alerts. */
  | { readonly type: "watch-fleet" }
  | { readonly type: "unwatch-fleet" }
  /** Answered by `pong`: proof that the connection lives, and the server's time. A dashboard sends it after 15 s of silence. */
  | { readonly type: "ping" };

/**
 * `watching` confirms a watch: every point committed to the store after it arrives as `points`, and everything before is
 * in `GET /api/series`; so watch first, then fetch, then merge by time: no gap, no double.
 */
export type LiveEvent =
  | { readonly type: "watching"; readonly thing: string; readonly at: EpochMs }
  | {
      readonly type: "points";
      readonly thing: string;
      readonly measurement: string;
      readonly series: readonly Series[];
    }
  /** A watched thing's shadow has changed or was deleted; `name` is empty for the classic one. */
  | { readonly type: "shadow"; readonly thing: string; readonly name: string; readonly version: number }
  | { readonly type: "presence"; readonly thing: string; readonly presence: Presence }
  | { readonly type: "headline"; readonly thing: string; readonly headline: readonly LatestValue[] }
  | { readonly type: "alert"; readonly alert: Alert }
  /** Somebody was refused: `/api/refusals` has news. To viewers of the fleet, at most twice a second. */
  | { readonly type: "refused" }
  | { readonly type: "pong"; readonly at: EpochMs }
  | { readonly type: "error"; readonly error: ApiError };
