/** An entry of a Redis stream. Source: redis.io (XADD). A repeated one is an entry more: its field `id` tells. */
import { mib, seconds } from "../../base/mod.ts";
import { only, optionalInteger, present, template } from "./checks.ts";
import type { ActionKind, Carrier } from "./kind.ts";
import { textOf } from "./rendering.ts";
import { SERVER_KEYS, mapServerSecrets, serverLabel, serverSettings, validateServer } from "./server.ts";
import type { Schemes, ServerBody } from "./server.ts";

/** The path of the URL is the number of the database. */
export interface RedisBody extends ServerBody {
  /** Template: the key. */
  readonly stream: string;
  /** About how many entries the stream keeps. */
  readonly maxLength?: number;
}

const SCHEMES: Schemes = ["redis", "rediss"];

const carrier: Carrier = {
  name: "redis",
  batchMax: 500,
  batchBytesMax: mib(1),
  linger: 0,
  concurrency: 1,
  timeout: seconds(15),
  ordered: true,
  http: null,
};

export const redis: ActionKind<RedisBody> = {
  name: "redis",
  carrier,
  validate(given, at) {
    only(given, at, [...SERVER_KEYS, "stream", "maxLength"]);
    return present({
      ...validateServer(given, at, SCHEMES),
      stream: template(given["stream"], `${at}.stream`),
      maxLength: optionalInteger(given["maxLength"], `${at}.maxLength`, 1, 1e9),
    });
  },
  mapSecrets: mapServerSecrets,
  plan(body, scope) {
    const stream = textOf(body.stream, scope);
    return {
      settings: { ...serverSettings(body, SCHEMES, 6379), maxLength: body.maxLength ?? 0 },
      label: serverLabel(body),
      render: (match) => ({ body: match.bytes, fields: { stream: stream(match), topic: match.input.topic } }),
    };
  },
};
