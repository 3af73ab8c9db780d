/** What rules could not deliver: look at it, correct it, send it again, drop it. */
import { isUtf8 } from "node:buffer";
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS, TidewireError } from "../../base/mod.ts";
import type { DeadLetterQuery, KeptLetter } from "../../rules/mod.ts";
import type { DeadLetterHead, DeadLetterPage, DeadLetterReceivers, DeadLetterView } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { PageLimit } from "./schemas.ts";

const READS = { permission: "rules:read" } as const;
const WRITES = { permission: "rules:write" } as const;

const Number_ = z.coerce.number().int().min(1);
const Params = z.strictObject({ number: Number_ });
const Which = { rule: z.string().max(128).optional(), receiver: z.string().max(256).optional() };
const ListQuery = z.strictObject({ ...Which, before: Number_.optional(), limit: PageLimit.default(100) });
/** One by its number, or all of a rule or a receiver, or `all`: nothing by accident. */
const Choice = z
  .strictObject({ ...Which, number: Number_.optional(), all: z.literal(true).optional() })
  .refine((choice) => Object.keys(choice).length > 0, "name a number, a rule, a receiver, or all: true");
const Change = z
  .strictObject({
    body: z.string().optional(),
    bodyBase64: z.base64().optional(),
    fields: z.record(z.string().max(256), z.string().max(8192)).optional(),
  })
  .refine(
    ({ body, bodyBase64 }) => body === undefined || bodyBase64 === undefined,
    "give body or bodyBase64, not both",
  );

const PREVIEW_CHARS_MAX = 300;
const UTF8_BYTES_MAX = 4;

/** Of one request; the caller asks again while something is left. */
const ROWS_MAX = 500;

export function deadLetterRoutes(app: FastifyInstance, { rules: { dead } }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    "/api/dead-letters",
    { config: READS, schema: { querystring: ListQuery } },
    async ({ query }): Promise<DeadLetterPage> => {
      const letters = dead.list(asked(query, query.limit));
      const next = letters.length === query.limit ? letters.at(-1)!.number : null;
      return { letters: letters.map((letter) => headOf(letter)), next };
    },
  );

  routes.get("/api/dead-letters/receivers", { config: READS }, async (): Promise<DeadLetterReceivers> => {
    const receivers = dead.receivers();
    return {
      receivers: receivers.map(({ receiver, carrier: kind, label, count }) => ({ receiver, kind, label, count })),
    };
  });

  routes.get(
    "/api/dead-letters/:number",
    { config: READS, schema: { params: Params } },
    async ({ params }): Promise<DeadLetterView> => whole(dead.get(params.number)),
  );

  routes.patch(
    "/api/dead-letters/:number",
    { config: WRITES, schema: { params: Params, body: Change }, bodyLimit: LIMITS.rules.deliveryBodyBytesMax * 3 },
    async ({ params, body: { body, bodyBase64, fields } }) => {
      const bytes = body === undefined ? bodyBase64 && Buffer.from(bodyBase64, "base64") : Buffer.from(body);
      const kept = fields && withHidden(fields, dead.get(params.number));
      const change = { ...(bytes === undefined ? {} : { body: bytes as Uint8Array }), ...(kept && { fields: kept }) };
      return whole(dead.edit(params.number, change));
    },
  );

  routes.post("/api/dead-letters/replay", { config: WRITES, schema: { body: Choice } }, async ({ body }) => {
    const replayed = dead.replay(asked(body, ROWS_MAX));
    demandFound(body.number, replayed);
    return { replayed, more: dead.list(asked(body, 1)).length > 0 };
  });

  routes.post("/api/dead-letters/drop", { config: WRITES, schema: { body: Choice } }, async ({ body }) => {
    const dropped = dead.drop(asked(body, ROWS_MAX));
    demandFound(body.number, dropped);
    return { dropped, more: dead.list(asked(body, 1)).length > 0 };
  });
}

interface Asked {
  readonly number?: number | undefined;
  readonly rule?: string | undefined;
  readonly receiver?: string | undefined;
  readonly before?: number | undefined;
}

function asked({ number, rule, receiver, before }: Asked, limit: number): DeadLetterQuery {
  return {
    ...(number === undefined ? {} : { number }),
    ...(rule === undefined ? {} : { rule }),
    ...(receiver === undefined ? {} : { receiver }),
    ...(before === undefined ? {} : { before }),
    limit,
  };
}

function demandFound(number: number | undefined, count: number): void {
  if (number !== undefined && count === 0) {
    throw new TidewireError("NOT_FOUND", { kind: "dead letter", name: String(number) });
  }
}

function headOf({
  number,
  id,
  rule,
  carrier,
  label,
  receiver,
  things,
  attempts,
  lastError,
  createdAt,
  diedAt,
  body,
}: KeptLetter): DeadLetterHead {
  const known = { number, id, rule, kind: carrier, label, receiver, things, attempts, lastError, createdAt, diedAt };
  return { ...known, bodyBytes: body.length, preview: previewOf(body) };
}

/** Null where it is no text. */
function previewOf(body: Uint8Array): string | null {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  if (!isUtf8(bytes)) return null;
  const text = bytes.toString("utf8", 0, PREVIEW_CHARS_MAX * UTF8_BYTES_MAX);
  return text.length <= PREVIEW_CHARS_MAX ? text : `${text.slice(0, PREVIEW_CHARS_MAX)}…`;
}

const HIDDEN = "***";

/** Headers are shown as those of rules are: they may be what a rule was given as a secret. */
function shownFields({ carrier, fields }: KeptLetter): Readonly<Record<string, string>> {
  if (carrier !== "webhook") return fields;
  const shown = Object.entries(fields).map(
    ([name, value]) => [name, name === "content-type" ? value : HIDDEN] as const,
  );
  return Object.fromEntries(shown);
}

/** What was hidden stands for what the letter has there. */
function withHidden(given: Readonly<Record<string, string>>, { fields }: KeptLetter): Record<string, string> {
  const whole = Object.entries(given).map(([name, value]) => {
    const own = Object.hasOwn(fields, name) ? fields[name]! : value;
    return [name, value === HIDDEN ? own : value] as const;
  });
  return Object.fromEntries(whole);
}

/** Bytes that are no text come in base64. */
function whole(letter: KeptLetter): DeadLetterView {
  const { body, offset } = letter;
  const fields = shownFields(letter);
  const bytes = Buffer.from(body);
  const shown = isUtf8(bytes) ? { body: bytes.toString("utf8") } : { bodyBase64: bytes.toString("base64") };
  return { ...headOf(letter), offset, fields, ...shown };
}
