/** A message for a NATS subject; with `jetstream` the stream has stored it before it counts as delivered. Source: docs.nats.io. */
import { mib, seconds } from "../../base/mod.ts";
import { SECRET_CHARS_MAX, only, optionalFlag, optionalText, present, template } from "./checks.ts";
import type { ActionKind, Carrier } from "./kind.ts";
import { textOf } from "./rendering.ts";
import { SERVER_KEYS, mapServerSecrets, serverLabel, serverSettings, validateServer } from "./server.ts";
import type { Schemes, ServerBody } from "./server.ts";

export interface NatsBody extends ServerBody {
  /** Template. */
  readonly subject: string;
  readonly token?: string;
  /** Publishes into a stream, which recognises a repeated one by `Nats-Msg-Id`. Otherwise the server's PONG is all there is. */
  readonly jetstream?: boolean;
}

const SCHEMES: Schemes = ["nats", "tls"];

const carrier: Carrier = {
  name: "nats",
  batchMax: 500,
  batchBytesMax: mib(1),
  linger: 0,
  concurrency: 1,
  timeout: seconds(15),
  ordered: true,
  http: null,
};

export const nats: ActionKind<NatsBody> = {
  name: "nats",
  carrier,
  validate(given, at) {
    only(given, at, [...SERVER_KEYS, "subject", "token", "jetstream"]);
    return present({
      ...validateServer(given, at, SCHEMES),
      subject: template(given["subject"], `${at}.subject`),
      token: optionalText(given["token"], `${at}.token`, SECRET_CHARS_MAX),
      jetstream: optionalFlag(given["jetstream"], `${at}.jetstream`),
    });
  },
  mapSecrets(body, change) {
    const mapped = mapServerSecrets(body, change);
    return body.token === undefined ? mapped : { ...mapped, token: change(body.token, "***", "token") };
  },
  plan(body, scope) {
    const subject = textOf(body.subject, scope);
    const token = body.token === undefined ? {} : { token: body.token };
    return {
      settings: { ...serverSettings(body, SCHEMES, 4222), ...token, jetstream: body.jetstream ?? false },
      label: serverLabel(body),
      render: (match) => ({ body: match.bytes, fields: { subject: subject(match) } }),
    };
  },
};
