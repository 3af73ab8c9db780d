/** Messages: publishing, and what is retained. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS, TidewireError, topicNameFault } from "../../../base/mod.ts";
import type { Message, MessageProperties } from "../../../base/mod.ts";
import { actorOf } from "../actor.ts";
import { notFound } from "../errors.ts";
import type { ApiPorts } from "../ports.ts";
import { readBytes } from "./bodies.ts";

/** A topic in a path may be percent-encoded as a whole, as SDKs do it, or with its slashes as they are. */
const TopicPath = z.object({ "*": z.string() });
const Publishing = z.object({
  qos: z.coerce.number().int().min(0).max(1).default(0),
  retain: z.stringbool().default(false),
  contentType: z.string().max(LIMITS.mqtt.topicBytesMax).optional(),
  responseTopic: z.string().optional(),
  messageExpiry: z.coerce.number().int().min(0).max(0xffff_ffff).optional(),
});
const Listing = z.object({
  maxResults: z.coerce.number().int().min(1).max(LIMITS.http.pageSizeMax).default(LIMITS.http.pageSizeMax),
  nextToken: z.string().max(4096).optional(),
});
const UserProperties = z.array(z.record(z.string(), z.string())).max(LIMITS.mqtt.userPropertiesMax);

const topicOf = ({ params }: FastifyRequest): string => (params as { "*": string })["*"];

export function messageRoutes(scope: FastifyInstance, ports: ApiPorts): void {
  publishRoute(scope, ports);
  retainedRoutes(scope, ports);
}

function publishRoute(scope: FastifyInstance, { messages, clock, random }: ApiPorts): void {
  readBytes(scope);
  const routes = scope.withTypeProvider<ZodTypeProvider>();
  const device = (request: FastifyRequest) => {
    const [resource, { retain }] = [topicOf(request), request.query as { readonly retain?: string }];
    const asked = [{ action: "Publish", resource } as const];
    return retain === undefined || retain === "false"
      ? asked
      : [...asked, { action: "RetainPublish", resource } as const];
  };
  const config = { permission: "telemetry:write", device } as const;

  routes.post("/topics/*", { config, schema: { params: TopicPath, querystring: Publishing } }, async (request) => {
    const topic = checkedTopic(topicOf(request), "topic");
    const { qos, retain } = request.query;
    const payload = request.body instanceof Uint8Array ? request.body : new Uint8Array(0);
    const { identity } = actorOf(request);
    const thing = identity.kind === "device" ? identity.thing : null;
    const properties = propertiesOf(request, request.query, payload);
    const message = { topic, payload, retain, clientId: "", thing, receivedAt: clock.now(), properties };
    await messages.publish({ ...message, qos: qos === 1 ? 1 : 0 });
    return { message: "OK", traceId: Buffer.from(random.bytes(16)).toString("hex") };
  });
}

function retainedRoutes(scope: FastifyInstance, { messages }: ApiPorts): void {
  const routes = scope.withTypeProvider<ZodTypeProvider>();
  const one = {
    permission: "telemetry:read",
    device: (request: FastifyRequest) => [{ action: "GetRetainedMessage", resource: topicOf(request) } as const],
  } as const;
  const all = {
    permission: "telemetry:read",
    // AWS has no finer resource than all topics for it.
    device: () => [{ action: "ListRetainedMessages", resource: "#" } as const],
  } as const;

  routes.get("/retainedMessage/*", { config: one, schema: { params: TopicPath } }, async (request) => {
    const topic = checkedTopic(topicOf(request), "topic");
    const found = await messages.retained(topic);
    if (found === null) throw notFound("retained message", topic);
    const { payload, qos, receivedAt, properties } = found;
    const named = properties?.userProperties?.map(([name, value]) => ({ [name]: value }));
    return {
      topic,
      payload: Buffer.from(payload).toString("base64"),
      qos,
      lastModifiedTime: receivedAt,
      userProperties: named === undefined ? undefined : Buffer.from(JSON.stringify(named)).toString("base64"),
    };
  });

  routes.get("/retainedMessage", { config: all, schema: { querystring: Listing } }, async ({ query }) => {
    const after = query.nextToken === undefined ? null : Buffer.from(query.nextToken, "base64url").toString();
    const { found, upTo } = await messages.listRetained(after, query.maxResults);
    return {
      retainedTopics: found.map(summaryOf),
      nextToken: upTo === null ? undefined : Buffer.from(upTo).toString("base64url"),
    };
  });
}

function summaryOf({ topic, payload, qos, receivedAt }: Message): object {
  return { topic, payloadSize: payload.length, qos, lastModifiedTime: receivedAt };
}

function checkedTopic(topic: string, member: string): string {
  const fault = topicNameFault(topic, LIMITS.mqtt);
  if (fault !== null) throw invalid(`${member}: ${fault}`);
  return topic;
}

function propertiesOf(
  { headers }: FastifyRequest,
  { contentType, responseTopic, messageExpiry }: z.infer<typeof Publishing>,
  payload: Uint8Array,
): MessageProperties | null {
  const correlation = headers["x-amz-mqtt5-correlation-data"];
  const userProperties = userPropertiesOf(headers["x-amz-mqtt5-user-properties"]);
  const payloadFormat = formatOf(headers["x-amz-mqtt5-payload-format-indicator"], payload);
  if (responseTopic !== undefined) checkedTopic(responseTopic, "responseTopic");
  const properties: MessageProperties = {
    ...(payloadFormat === null ? {} : { payloadFormat }),
    ...(messageExpiry === undefined ? {} : { messageExpirySeconds: messageExpiry }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(typeof correlation === "string" ? { correlationData: bytesOf(correlation, "correlationData") } : {}),
    ...(userProperties.length === 0 ? {} : { userProperties }),
  };
  return Object.keys(properties).length === 0 ? null : properties;
}

function userPropertiesOf(header: string | readonly string[] | undefined): (readonly [string, string])[] {
  if (typeof header !== "string") return [];
  const text = new TextDecoder().decode(bytesOf(header, "userProperties"));
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw invalid("userProperties is not JSON in Base64");
  }
  const parsed = UserProperties.safeParse(given);
  if (!parsed.success) throw invalid("userProperties must be a list of objects with texts, and not too many");
  return parsed.data.flatMap((property) => Object.entries(property));
}

function formatOf(header: string | readonly string[] | undefined, payload: Uint8Array): 0 | 1 | null {
  if (header === undefined) return null;
  if (header === "UNSPECIFIED_BYTES") return 0;
  if (header !== "UTF8_DATA") throw invalid("payloadFormatIndicator must be UNSPECIFIED_BYTES or UTF8_DATA");
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(payload);
    return 1;
  } catch {
    throw invalid("payloadFormatIndicator is UTF8_DATA, and the payload is not UTF-8");
  }
}

/** Strictly Base64: `Buffer` would leave out what does not belong to it. */
function bytesOf(base64: string, member: string): Uint8Array {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64)) {
    throw invalid(`${member} is not Base64`);
  }
  return Buffer.from(base64, "base64");
}

function invalid(reason: string): TidewireError {
  return new TidewireError("REQUEST_INVALID", { reason });
}
