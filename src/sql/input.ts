import type { EpochMs, JsonValue, MessageProperties } from "../base/mod.ts";
import type { ExternalRequest } from "./external.ts";
import type { SqlValue } from "./value.ts";

/** What a statement is evaluated against: one message. One object stands for one message, as long as it lives. */
export interface SqlInput {
  readonly topic: string;
  readonly clientId: string;
  readonly receivedAt: EpochMs;
  readonly payload: Uint8Array;
  /** The payload as JSON, parsed once and lazily (`parsePayload`); undefined where it is not JSON. Never throws. */
  json(): SqlValue;
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
  /** Answers of external functions, by call; made by `CompiledSql.prepare`. */
  readonly answers?: ReadonlyMap<object, SqlValue>;
  /** Told why a call is Undefined where the reason is not in the message: no port, no descriptor, too much work. */
  note?(reason: string): void;
}

/** MD2 is not among them: OpenSSL 3 has it no longer, so it is here (`md2.ts`). */
export type HashName = "md5" | "sha1" | "sha224" | "sha256" | "sha384" | "sha512";

/** Ports. `adapters/sql-environment.ts` has the machine's part of them. */
export interface SqlEnvironment {
  readonly accountId: string;
  /** From 0 up to, but not, 1. */
  random(): number;
  newUuid(): string;
  hash(name: HashName, bytes: Uint8Array): Uint8Array;
  /** A serialized `FileDescriptorSet` (protoc --descriptor_set_out), for decode(…, 'proto', …); null where there is none. */
  descriptors?(bucket: string, key: string): Uint8Array | null;
  /** Answers an external function. Rejects where it cannot; the call is then Undefined, and the reason is noted. */
  external?(request: ExternalRequest): Promise<JsonValue | undefined>;
}
