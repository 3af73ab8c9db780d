/** The fleet at a glance, one thing in detail, and what a new device needs to know. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS, isRetryable } from "../../base/mod.ts";
import { isFleetQuery } from "../../registry/mod.ts";
import type { Page, Thing } from "../../registry/mod.ts";
import { actorOf } from "./actor.ts";
import type { ConnectionInfo, FleetEntry, FleetPage, LatestValue, ThingDetail } from "./contract.ts";
import { HEADLINE_FIELDS } from "./headline.ts";
import type { ApiPorts } from "./ports.ts";
import { PageLimit, ThingParameters, thingInPath } from "./schemas.ts";

const READS = { permission: "fleet:read" } as const;

const FleetParameters = z.strictObject({
  search: z.string().max(LIMITS.search.queryLengthMax).optional(),
  limit: PageLimit.default(100),
  cursor: z.string().max(2048).optional(),
});

/** Alerts shown with a thing. */
const ALERTS_SHOWN = 50;

export function fleetRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    "/api/fleet",
    { config: READS, schema: { querystring: FleetParameters } },
    async (request): Promise<FleetPage> => {
      const { search, limit, cursor } = request.query;
      const { page, ...counted } = await fleetPage(ports, search, { maxResults: limit, nextToken: cursor });
      const headlines = await headlinesOf(
        ports,
        page.items.map((thing) => thing.thingName),
      );
      return {
        things: page.items.map((thing) => entryOf(ports, thing, headlines.get(thing.thingName) ?? [])),
        cursor: page.nextToken,
        ...counted,
        online: ports.presence.onlineCount,
      };
    },
  );

  routes.get(
    "/api/things/:thing",
    { config: { ...READS, things: thingInPath }, schema: { params: ThingParameters } },
    async (request): Promise<ThingDetail> => {
      const thing = ports.registry.things.describe(request.params.thing);
      const headlines = await headlinesOf(ports, [thing.thingName]);
      const certificates = ports.registry.things.principalsOf(thing.thingName).map(({ certificateId }) => {
        const { status, notAfter } = ports.registry.certificates.describe(certificateId);
        return { certificateId, status, expiresAt: notAfter };
      });
      const alerts = ports.alerts.list({ state: "all", limit: ALERTS_SHOWN, thing: thing.thingName });
      const { createdAt, version } = thing;
      const mayKnow = actorOf(request).permissions.has("certificates:read");
      return {
        ...entryOf(ports, thing, headlines.get(thing.thingName) ?? []),
        createdAt,
        version,
        certificates,
        password: mayKnow ? ports.passwords.find(thing.thingName) : null,
        alerts,
      };
    },
  );

  routes.get("/api/connection", { config: READS }, async (): Promise<ConnectionInfo> => ports.connection());
}

interface FoundThings extends Pick<FleetPage, "total" | "totalIsLeast"> {
  readonly page: Page<Thing>;
}

/** Counting must not keep the page waiting for long. */
const COUNTED_WITHIN = 200;

async function fleetPage(
  { registry, search }: ApiPorts,
  text: string | undefined,
  options: { readonly maxResults: number; readonly nextToken: string | undefined },
): Promise<FoundThings> {
  if (text === undefined || !isFleetQuery(text)) {
    return { page: registry.things.list({ search: text, ...options }), total: registry.things.count({ search: text }) };
  }
  const [{ things, nextToken }, { count, complete }] = await Promise.all([
    search.run(text, { maxResults: options.maxResults, nextToken: options.nextToken ?? null }),
    search.aggregate({ ask: "count", query: text, within: COUNTED_WITHIN }),
  ]);
  const items = things.flatMap(({ thingName }) => registry.things.find(thingName) ?? []);
  return { page: { items, nextToken }, total: count, ...(complete ? {} : { totalIsLeast: true }) };
}

/** A fleet without its values is better than no fleet: while the store restarts, headlines stay empty. */
async function headlinesOf(
  ports: ApiPorts,
  things: readonly string[],
): Promise<ReadonlyMap<string, readonly LatestValue[]>> {
  try {
    return await ports.telemetry.headline(things, HEADLINE_FIELDS);
  } catch (error) {
    if (isRetryable(error)) return new Map();
    throw error;
  }
}

function entryOf(ports: ApiPorts, thing: Thing, headline: readonly LatestValue[]): FleetEntry {
  const { thingName, thingTypeName, attributes } = thing;
  const activeAlerts = ports.alerts.activeCount(thingName);
  return { thingName, thingTypeName, attributes, presence: ports.presence.of(thingName), activeAlerts, headline };
}
