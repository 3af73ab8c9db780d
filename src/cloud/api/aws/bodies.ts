/** How bodies of AWS's operations are read: clients of AWS are not careful about content types, and AWS is not either. */
import type { FastifyInstance } from "fastify";

/** Every body is JSON, whatever it says it is; none at all is no body. */
export function readAnyJson(scope: FastifyInstance): void {
  const parse = scope.getDefaultJsonParser("error", "error");
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser<string>("*", { parseAs: "string" }, (request, body, done) => {
    if (body === "") done(null, undefined);
    else void parse(request, body, done);
  });
}

/** Every body is bytes: a message's payload. */
export function readBytes(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser<Buffer>("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
}
