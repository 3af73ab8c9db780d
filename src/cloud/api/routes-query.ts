/** Read-only SQL over what is stored. The answer is streamed: what the client does not read, nobody computes. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS, TidewireError, minutes, spanIn } from "../../base/mod.ts";
import type { Millis } from "../../base/mod.ts";
import { ANSWER_FORMATS } from "../ask/mod.ts";
import type { AnswerFormat } from "../ask/mod.ts";
import type { QueryRequest } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";

const READS = { permission: "telemetry:read" } as const;

const { asking } = LIMITS;

const Scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const Parameter = z.union([Scalar, z.array(z.union([z.string(), z.number()])).max(10_000)]);
const Parameters = z.union([z.array(Parameter).max(asking.parametersMax), z.record(z.string().max(63), Parameter)]);

const Options = {
  sql: z.string(),
  format: z.enum(ANSWER_FORMATS).optional(),
  timeout: z.string().max(20).optional(),
};

const QueryBody = z.strictObject({
  ...Options,
  parameters: Parameters.optional(),
  rows: z.number().int().min(1).max(asking.rowsMaxMax).optional(),
  explain: z.boolean().optional(),
});

const QueryString = z.strictObject({
  ...Options,
  parameters: z.string().optional(),
  rows: z.coerce.number().int().min(1).max(asking.rowsMaxMax).optional(),
  explain: z.stringbool().optional(),
});

/** What each format is called, the first one by ourselves. */
const MEDIA_TYPES: Readonly<Record<AnswerFormat, readonly string[]>> = {
  json: ["application/json", "application/*", "*/*"],
  ndjson: ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"],
  csv: ["text/csv; charset=utf-8", "text/csv", "text/*"],
  parquet: ["application/vnd.apache.parquet", "application/x-parquet"],
};

export function queryRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post("/api/query", { config: READS, schema: { body: QueryBody } }, (request, reply) =>
    answer(ports, request.body, request, reply),
  );

  routes.get("/api/query", { config: READS, schema: { querystring: QueryString } }, (request, reply) =>
    answer(ports, { ...request.query, parameters: parametersOf(request.query.parameters) }, request, reply),
  );
}

type Asked = { readonly [K in keyof QueryRequest]: QueryRequest[K] | undefined } & Pick<QueryRequest, "sql">;

async function answer(
  { asker }: ApiPorts,
  asked: Asked,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const format = asked.format ?? formatOf(request.headers.accept);
  const explain = asked.explain === true;
  if (explain && format === "parquet") throw invalid("a plan is text: ask for it as json, ndjson or csv");
  const parameters = asked.parameters ?? [];
  if (Object.keys(parameters).length > asking.parametersMax) {
    throw invalid(`there are more than ${asking.parametersMax} parameters`);
  }
  const timeout = timeoutOf(asked.timeout);
  const rowsMax = asked.rows ?? asking.rowsMax;
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort(new TidewireError("STORE_UNAVAILABLE", { reason: "nobody waits" })));
  const { stream, incomplete } = await asker.ask(
    { sql: asked.sql, parameters, format, explain, rowsMax, timeout },
    gone.signal,
  );
  if (incomplete) void reply.header("x-tidewire-incomplete", "damaged-files");
  return reply.type(MEDIA_TYPES[format][0]!).send(stream);
}

/** The first format of the list that we have; weights are left alone: who sends them lists the best one first. */
function formatOf(accept: string | undefined): AnswerFormat {
  if (accept === undefined) return "json";
  for (const part of accept.split(",")) {
    const type = part.split(";")[0]!.trim().toLowerCase();
    const format = ANSWER_FORMATS.find((known) => MEDIA_TYPES[known].includes(type));
    if (format !== undefined) return format;
  }
  throw invalid(`none of '${accept.slice(0, 100)}' can be had; formats are ${ANSWER_FORMATS.join(", ")}`);
}

function timeoutOf(text: string | undefined): Millis {
  if (text === undefined) return asking.queryTimeout;
  const timeout = spanIn(text) ?? 0;
  if (timeout < 1 || timeout > asking.queryTimeoutMax) {
    const most = `${asking.queryTimeoutMax / minutes(1)}m`;
    throw invalid(`'timeout' is '${text}'; it must be a duration such as 500ms, 30s or 5m, at most ${most}`);
  }
  return timeout;
}

function parametersOf(text: string | undefined): QueryRequest["parameters"] {
  if (text === undefined) return undefined;
  try {
    return Parameters.parse(JSON.parse(text));
  } catch {
    throw invalid("'parameters' must be a JSON array, or an object by name, of strings, numbers, booleans and nulls");
  }
}

function invalid(reason: string): TidewireError {
  return new TidewireError("REQUEST_INVALID", { reason });
}
