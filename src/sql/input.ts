import type { EpochMs, JsonValue, MessageProperties } from "../base/mod.ts";
import type { AskedCall, ExternalRequest, Unanswerable } from "./external.ts";
import type { SqlValue } from "./value.ts";

/** What a statement is evaluated against: one message. One object stands for one message, as long as it lives. */
export interface SqlInput {
  readonly topic: string;
  readonly clientId: string;
  readonly receivedAt: EpochMs;
  readonly payload: Uint8Array;
  /** The payload as JSON, parsed once and lazily (`parsePayload`); undefined where it is not JSON. Never throws. */
  json(): SqlValue;
  /** A top-level member of `json()`, which need not be parsed for it; without it, `json` serves. */
  top?(key: string): SqlValue;
  /** The same for version 2015-10-08, where 10.0 stays 10.0; without it, `json` serves. */
  written?(): SqlValue;
  /** Whether `json` or `written` holds numbers that are longer than a double (`parsePayload` says so). */
  readonly exact?: boolean;
  /** Fingerprint of the certificate, or name of the user. */
  readonly principal?: string | null;
  readonly traceId?: string | null;
  readonly sourceIp?: string | null;
  readonly properties?: MessageProperties | null;
  /** What functions need of the world; without it they are Undefined. */
  readonly environment?: SqlEnvironment;
  /** Answers of external functions, by call; filled by `CompiledSql.prepare`, which makes one where there is none. */
  readonly answers?: Map<object, SqlValue> | undefined;
  /** The thing that published it; a publisher without one stands for itself. */
  readonly thing?: string;
  /** What a statement with windows or keyed state reads beside the message: see `window-plan.ts`. */
  readonly slots?: readonly SqlValue[] | undefined;
  /** Told why a call is Undefined where the reason is not in the message: no port, no descriptor, too much work. */
  note?(reason: string): void;
}

/** MD2 is not among them: OpenSSL 3 has it no longer, so it is here (`md2.ts`). */
export type HashName = "md5" | "sha1" | "sha224" | "sha256" | "sha384" | "sha512";

/** Where the descriptor of a protobuf message is: AWS IoT keeps descriptor sets in S3. */
export interface ProtobufType {
  readonly bucket: string;
  readonly key: string;
  readonly file: string;
  readonly message: string;
}

/** Ports. `adapters/sql-environment.ts` has the machine's part of them. */
export interface SqlEnvironment {
  readonly accountId: string;
  /** From 0 up to, but not, 1. */
  random(): number;
  newUuid(): string;
  hash(name: HashName, bytes: Uint8Array): Uint8Array;
  /** decode(…, 'proto', …): the message as JSON, by the caller's descriptors; undefined where it knows none. May throw. */
  decodeProtobuf?(bytes: Uint8Array, type: ProtobufType): JsonValue | undefined;
  /** Answers an external function. Rejects where it cannot; the call is then Undefined, and the reason is noted. */
  external?(request: ExternalRequest): Promise<JsonValue | undefined>;
  /** Whether `external` could ever answer such a call; null where it could. Without it, nothing is answered. */
  unanswerable?(call: AskedCall): Unanswerable | null;
}
