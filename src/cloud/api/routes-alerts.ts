/** Alerts: what is wrong now, what was, "I have seen it", silences, and where an alert would go. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS } from "../../base/mod.ts";
import { nameOf } from "../../people/mod.ts";
import { actorOf } from "./actor.ts";
import type { Alert, AlertPage, AlertRouteAnswer, AlertStory, Silence, SilenceList } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { PageLimit } from "./schemas.ts";

const READS = { permission: "alerts:read" } as const;
const WRITES = { permission: "alerts:write" } as const;

const Id = z.string().min(1).max(1024);
const Name = z.string().min(1).max(256);
const Comment = z.string().min(1).max(2000);
const Severity = z.enum(["info", "warning", "critical"]);
const Labels = z.record(Name, z.string().max(1024)).refine((labels) => Object.keys(labels).length <= 32, "at most 32");
const Time = z.int().min(0);

const AlertParameters = z.strictObject({
  state: z.enum(["active", "all"]).default("active"),
  limit: PageLimit.default(100),
  phase: z.enum(["pending", "firing", "acknowledged", "resolved"]).optional(),
  severity: Severity.optional(),
  rule: Name.optional(),
  thing: Name.optional(),
  assignee: Name.optional(),
  text: z.string().max(256).optional(),
  after: Id.optional(),
});

const NewAlert = z.strictObject({
  thing: Name,
  severity: Severity,
  summary: z.string().min(1).max(LIMITS.rules.alertSummaryCharsMax),
  key: Name.optional(),
  labels: Labels.optional(),
});

const NewSilence = z.strictObject({
  matchers: z.array(z.string().max(1024)).max(32),
  startsAt: Time.optional(),
  endsAt: Time,
  comment: z.string().max(2000).default(""),
});

const RouteQuestion = z.strictObject({ rule: Name, thing: Name, severity: Severity, labels: Labels.optional() });
const Note = z.strictObject({ comment: Comment.optional() }).nullish();
const params = z.strictObject({ id: Id });

export function alertRoutes(app: FastifyInstance, { alerts, clock }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    "/api/alerts",
    { config: READS, schema: { querystring: AlertParameters } },
    async (request): Promise<AlertPage> => {
      const { phase, ...query } = request.query;
      const state = phase === "resolved" ? "all" : query.state;
      return { alerts: alerts.list({ ...query, phase, state }), active: alerts.activeCount() };
    },
  );
  routes.post("/api/alerts", { config: WRITES, schema: { body: NewAlert } }, async (request): Promise<Alert> =>
    alerts.raise(request.body),
  );
  routes.get("/api/alerts/:id", { config: READS, schema: { params } }, async (request): Promise<AlertStory> => {
    const story = alerts.get(request.params.id);
    return { ...story, groups: story.alert.state === "resolved" ? [] : alerts.route(story.alert).groups };
  });
  changeRoutes(app, { alerts });

  routes.get("/api/alert-silences", { config: READS }, async (): Promise<SilenceList> => {
    return { silences: alerts.silences(), now: clock.now() };
  });
  routes.post(
    "/api/alert-silences",
    { config: WRITES, schema: { body: NewSilence } },
    async (request): Promise<Silence> => alerts.silence(request.body, whoIn(request)),
  );
  routes.delete("/api/alert-silences/:id", { config: WRITES, schema: { params } }, async (request): Promise<Silence> =>
    alerts.endSilence(request.params.id),
  );
  routes.post(
    "/api/alert-route",
    { config: READS, schema: { body: RouteQuestion } },
    async (request): Promise<AlertRouteAnswer> => {
      const { labels = {}, ...alert } = request.body;
      return alerts.route({ ...alert, labels });
    },
  );
}

/** What people do with one alert. */
function changeRoutes(app: FastifyInstance, { alerts }: Pick<ApiPorts, "alerts">): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.post(
    "/api/alerts/:id/acknowledge",
    { config: WRITES, schema: { params, body: Note } },
    async (request): Promise<Alert> =>
      alerts.acknowledge(request.params.id, whoIn(request), request.body?.comment ?? null),
  );
  routes.delete(
    "/api/alerts/:id/acknowledge",
    { config: WRITES, schema: { params } },
    async (request): Promise<Alert> => alerts.unacknowledge(request.params.id, whoIn(request)),
  );
  routes.post(
    "/api/alerts/:id/assign",
    { config: WRITES, schema: { params, body: z.strictObject({ assignee: Name.nullable() }) } },
    async (request): Promise<Alert> => alerts.assign(request.params.id, request.body.assignee, whoIn(request)),
  );
  routes.post(
    "/api/alerts/:id/comment",
    { config: WRITES, schema: { params, body: z.strictObject({ comment: Comment }) } },
    async (request): Promise<Alert> => alerts.comment(request.params.id, request.body.comment, whoIn(request)),
  );
  routes.post(
    "/api/alerts/:id/snooze",
    { config: WRITES, schema: { params, body: z.strictObject({ until: Time }) } },
    async (request): Promise<Alert> => alerts.snooze(request.params.id, request.body.until, whoIn(request)),
  );
  routes.post(
    "/api/alerts/:id/resolve",
    { config: WRITES, schema: { params, body: Note } },
    async (request): Promise<Alert> => alerts.resolve(request.params.id, whoIn(request), request.body?.comment ?? null),
  );
}

function whoIn(request: FastifyRequest): string {
  return nameOf(actorOf(request).identity);
}
