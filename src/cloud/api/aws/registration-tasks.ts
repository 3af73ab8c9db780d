/** AWS IoT's bulk registration: a file with a line per device. The reports' links lead here. */
import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import type { RegistrationTask } from "../../../identity/mod.ts";
import { checkInputName } from "../../services/mod.ts";
import type { ApiPorts } from "../ports.ts";
import { Page, READS_POLICIES as READS, WRITES_POLICIES as WRITES, seconds } from "./fields.ts";
import { slice } from "./pages.ts";

const TaskPath = z.object({ taskId: z.string().max(40) });
const ReportType = z.enum(["RESULTS", "ERRORS"]);
const Start = z.looseObject({
  templateBody: z.string(),
  inputFileBucket: z.string().min(3).max(256),
  inputFileKey: z.string().min(1).max(1024),
  roleArn: z.string().max(2048),
});
const Status = z.enum(["InProgress", "Completed", "Failed", "Cancelled", "Cancelling"]);

export function registrationTaskRoutes(app: FastifyInstance, { provisioning }: ApiPorts): void {
  const { tasks, reports } = provisioning.registration;
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const path = "/thing-registration-tasks";

  routes.post(path, { config: WRITES, schema: { body: Start } }, async ({ body }) => {
    checkInputName(body.inputFileBucket, body.inputFileKey);
    return { taskId: tasks.start(body) };
  });

  const listing = { config: READS, schema: { querystring: Page.extend({ status: Status.optional() }) } };
  routes.get(path, listing, async ({ query }) => {
    const { items, nextToken } = slice(tasks.list(query.status), query);
    return { taskIds: items.map(({ taskId }) => taskId), nextToken };
  });

  routes.get(`${path}/:taskId`, { config: READS, schema: { params: TaskPath } }, async ({ params }) =>
    describedOf(tasks.describe(params.taskId)),
  );

  routes.put(`${path}/:taskId/cancel`, { config: WRITES, schema: { params: TaskPath } }, async ({ params }) => {
    tasks.stop(params.taskId);
    return {};
  });

  // The results hold certificates, and the link is a key to them.
  const asked = { params: TaskPath, querystring: Page.extend({ reportType: ReportType }) };
  routes.get(`${path}/:taskId/reports`, { config: READS, schema: asked }, async (request) => {
    const { reportType } = request.query;
    const link = reports.link(request.params.taskId, reportType);
    return { resourceLinks: [`${request.protocol}://${request.host}${link}`], reportType };
  });
}

/** For whoever has a link; it stands in no list. */
export function registrationReportRoutes(app: FastifyInstance, { provisioning }: ApiPorts): void {
  const { reports } = provisioning.registration;
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const params = TaskPath.extend({ type: ReportType });
  const querystring = z.object({ expires: z.coerce.number().int(), signature: z.string().max(128) });
  routes.get(
    "/api/registration-tasks/:taskId/reports/:type",
    { config: { permission: "public" }, schema: { params, querystring } },
    async (request, reply) => {
      const { taskId, type } = request.params;
      const { expires, signature } = request.query;
      reports.check(taskId, type, expires, signature);
      void reply.header("cache-control", "no-store");
      return reply.type("application/x-ndjson").send(Readable.from(reports.parts(taskId, type)));
    },
  );
}

function describedOf(task: RegistrationTask): object {
  const { taskId, templateBody, inputFileBucket, inputFileKey, roleArn, status, message } = task;
  const { createdAt, updatedAt, inputBytes, bytesRead, succeeded: successCount, failed: failureCount } = task;
  const share = inputBytes === null || inputBytes === 0 ? 0 : Math.floor((bytesRead / inputBytes) * 100);
  return {
    taskId,
    creationDate: seconds(createdAt),
    lastModifiedDate: seconds(updatedAt),
    templateBody,
    inputFileBucket,
    inputFileKey,
    roleArn,
    status,
    ...(message === null ? {} : { message }),
    successCount,
    failureCount,
    percentageProgress: status === "Completed" ? 100 : Math.min(99, share),
  };
}
