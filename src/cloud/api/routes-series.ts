/** Stored values: the latest ones, and series over time, in the format that the client takes. */
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { TidewireError } from "../../base/mod.ts";
import { QUERY_PARAMETERS, parseSeriesQuery } from "../../telemetry/mod.ts";
import type { QueryParameters, SeriesQuery } from "../../telemetry/mod.ts";
import type { LatestValues, SeriesResult } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { ThingParameters, thingInPath } from "./schemas.ts";
import { MEDIA_TYPES, SERIES_FORMATS, csvHead, csvLines, csvWide, formatOf, ndjsonLines } from "./series-formats.ts";
import type { CsvLayout, SeriesFormat } from "./series-formats.ts";
import { comesInPages, seriesPages } from "./series-pages.ts";

const READS = { permission: "telemetry:read" } as const;

const Presentation = {
  format: z.enum(SERIES_FORMATS).optional(),
  /** Of CSV. */
  layout: z.enum(["long", "wide"]).optional(),
};

const InUrl = z.string().optional();
/** Numbers as such, and lists where a URL has commas. */
const InBody = z.union([z.string(), z.number(), z.array(z.string()).max(1000)]).optional();

type Parameter = (typeof QUERY_PARAMETERS)[number];

function parametersAs<T extends z.ZodType>(type: T): Record<Parameter, T> {
  return Object.fromEntries(QUERY_PARAMETERS.map((name) => [name, type])) as Record<Parameter, T>;
}

const SeriesParameters = z.strictObject({ ...parametersAs(InUrl), ...Presentation });
const SeriesBody = z.strictObject({ ...parametersAs(InBody), ...Presentation });

export function seriesRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    "/api/things/:thing/latest",
    { config: { ...READS, things: thingInPath }, schema: { params: ThingParameters } },
    async (request): Promise<LatestValues> => {
      const { thing } = request.params;
      return { thing, values: await ports.telemetry.latest(thing) };
    },
  );

  routes.get(
    "/api/series",
    { config: { ...READS, things: thingsOfQuery }, schema: { querystring: SeriesParameters } },
    (request, reply) => answer(ports, request.query, request, reply),
  );

  routes.post("/api/series", { config: READS, schema: { body: SeriesBody } }, (request, reply) =>
    answer(ports, request.body, request, reply),
  );
}

/** An expression may name any thing; a pattern is within one of the key's, or it is not. */
function thingsOfQuery({ query }: FastifyRequest): readonly string[] | null {
  const { thing, things, expr } = query as Readonly<Record<string, unknown>>;
  if (expr !== undefined) return null;
  const named = [thing, things].filter((one) => one !== undefined);
  if (named.length === 0 || named.some((one) => typeof one !== "string")) return null;
  return (named as string[]).flatMap((text) => text.split(","));
}

type Asked = { readonly [P in Parameter]?: string | number | readonly string[] | undefined } & {
  readonly format?: SeriesFormat | undefined;
  readonly layout?: CsvLayout | undefined;
};

async function answer(
  { telemetry, clock }: ApiPorts,
  { format: wanted, layout, ...asked }: Asked,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const query = parseSeriesQuery(parametersOf(asked), clock.now());
  const format = wanted ?? formatOf(request.headers.accept);
  if (layout !== undefined && format !== "csv") throw invalid("'layout' is one of CSV; ask for format=csv");
  if (format === "json") return describe(reply, await telemetry.query(query));
  void reply
    .type(MEDIA_TYPES[format][0])
    .header("content-disposition", `attachment; filename="${fileName(query, format)}"`);
  if (format === "parquet") {
    const { bytes, ...about } = await telemetry.parquet(query);
    return flagged(reply, about).send(Buffer.from(bytes));
  }
  if (layout === "wide" || !comesInPages(query)) {
    const result = await telemetry.query(query);
    return flagged(reply, result).send(layout === "wide" ? csvWide(result.series) : textOf(result, format, true));
  }
  const total = asked.limit === undefined ? null : query.limit;
  const pages = seriesPages((page) => telemetry.query(page), query, total);
  // The first page decides whether there is an answer at all: its failure still has a status of its own.
  const first = await pages.next();
  if (first.done === true) return reply.send(format === "csv" ? csvHead() : "");
  return flagged(reply, { ...first.value, truncated: false }).send(Readable.from(texts(first.value, pages, format)));
}

async function* texts(
  first: SeriesResult,
  pages: AsyncGenerator<SeriesResult>,
  format: "csv" | "ndjson",
): AsyncGenerator<string> {
  yield textOf(first, format, true);
  for await (const page of pages) yield textOf(page, format, false);
}

function textOf({ series, thing, aggregate }: SeriesResult, format: "csv" | "ndjson", first: boolean): string {
  if (format === "ndjson") return ndjsonLines(series, thing, aggregate);
  return (first ? csvHead() : "") + csvLines(series, thing, aggregate);
}

function describe(reply: FastifyReply, result: SeriesResult): FastifyReply {
  return flagged(reply, result).send(result);
}

type About = Pick<SeriesResult, "truncated" | "incomplete" | "level"> & Partial<Pick<SeriesResult, "series">>;

/** A header that is longer is refused by proxies. */
const UNITS_HEADER_CHARS_MAX = 4_096;

/** `{"weather/t": "\\u00b0C"}`, in ASCII, as headers are; null where no schema says any, or more than fit. */
function unitsHeader(series: SeriesResult["series"]): string | null {
  const units = series.flatMap(({ measurement, field, unit }) =>
    unit === undefined ? [] : [[`${measurement}/${field}`, unit] as const],
  );
  if (units.length === 0) return null;
  const text = JSON.stringify(Object.fromEntries(units)).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return text.length > UNITS_HEADER_CHARS_MAX ? null : text;
}

/** What formats without room for it would leave out. */
function flagged(reply: FastifyReply, { truncated, incomplete, level, series = [] }: About): FastifyReply {
  void reply.header("x-tidewire-level", level);
  const units = unitsHeader(series);
  if (units !== null) void reply.header("x-tidewire-units", units);
  if (truncated) void reply.header("x-tidewire-truncated", "limit");
  if (incomplete) void reply.header("x-tidewire-incomplete", "damaged-files");
  return reply;
}

function parametersOf(
  asked: Readonly<Record<string, string | number | readonly string[] | undefined>>,
): QueryParameters {
  return Object.fromEntries(
    Object.entries(asked).map(([name, value]) => [name, typeof value === "number" ? String(value) : value]),
  );
}

/** Letters, digits and dashes only: the name goes into a header and onto a disk. */
function fileName({ thing, from, to }: SeriesQuery, format: SeriesFormat): string {
  const day = (time: number): string => new Date(time).toISOString().slice(0, 16).replaceAll(/[-:]/g, "");
  const name = thing.replaceAll(/[^a-zA-Z0-9_-]+/g, "-").slice(0, 60);
  return `${name}-${day(from)}-${day(to)}.${format}`;
}

function invalid(reason: string): TidewireError {
  return new TidewireError("REQUEST_INVALID", { reason });
}
