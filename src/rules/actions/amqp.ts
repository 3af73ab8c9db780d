/** A message for an exchange of RabbitMQ (AMQP 0.9.1), confirmed by the broker; one that no queue takes has failed. */
import { mib, seconds } from "../../base/mod.ts";
import { only, optionalFlag, optionalText, present, template } from "./checks.ts";
import type { ActionKind, Carrier } from "./kind.ts";
import { textOf } from "./rendering.ts";
import { SERVER_KEYS, mapServerSecrets, serverLabel, serverSettings, validateServer } from "./server.ts";
import type { Schemes, ServerBody } from "./server.ts";
import { contentType } from "./webhook.ts";

/** The path of the URL names the virtual host; without one it is `/`. */
export interface AmqpBody extends ServerBody {
  /** Left out: the default exchange, whose routing keys are names of queues. */
  readonly exchange?: string;
  /** Template. */
  readonly routingKey: string;
  /** Survives a restart of the broker in a durable queue. Default true. */
  readonly persistent?: boolean;
}

const SCHEMES: Schemes = ["amqp", "amqps"];
const [PORT, TLS_PORT] = [5672, 5671];

const carrier: Carrier = {
  name: "amqp",
  batchMax: 500,
  batchBytesMax: mib(1),
  linger: 0,
  concurrency: 1,
  timeout: seconds(15),
  ordered: true,
  http: null,
};

export const amqp: ActionKind<AmqpBody> = {
  name: "amqp",
  carrier,
  validate(given, at) {
    only(given, at, [...SERVER_KEYS, "exchange", "routingKey", "persistent"]);
    return present({
      ...validateServer(given, at, SCHEMES),
      exchange: optionalText(given["exchange"], `${at}.exchange`, 255),
      routingKey: template(given["routingKey"], `${at}.routingKey`),
      persistent: optionalFlag(given["persistent"], `${at}.persistent`),
    });
  },
  mapSecrets: mapServerSecrets,
  plan(body, scope) {
    const routingKey = textOf(body.routingKey, scope);
    const { exchange = "", persistent = true } = body;
    const port = body.url.startsWith("amqps:") ? TLS_PORT : PORT;
    return {
      settings: { ...serverSettings(body, SCHEMES, port), exchange, persistent },
      label: exchange === "" ? serverLabel(body) : `${serverLabel(body)} ${exchange}`,
      render: (match) => ({
        body: match.bytes,
        fields: { routingKey: routingKey(match), contentType: contentType(match)["content-type"]! },
      }),
    };
  },
};
