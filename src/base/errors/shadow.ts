/** Part of the catalogue in `catalogue.ts`: shadows. `{reason}` is AWS IoT's own sentence. */
import type { ErrorEntry } from "./catalogue.ts";

export const SHADOW_ERRORS = {
  SHADOW_REQUEST_INVALID: {
    fault: "peer",
    message: "{reason}",
    fix: 'Send a document as AWS IoT describes it, `{"state":{"desired":{…},"reported":{…}}}`, and nothing else below `state`.',
    http: 400,
  },
  SHADOW_NOT_FOUND: {
    fault: "peer",
    message: "{reason}",
    fix: "Check the thing's name and the shadow's; `tidewire shadow list THING` shows those that there are.",
    http: 404,
  },
  SHADOW_VERSION_CONFLICT: {
    fault: "peer",
    message: "{reason}",
    fix: "Read the shadow again and repeat the change with the version that it has now, or leave the version out.",
    http: 409,
  },
  SHADOW_TOO_LARGE: {
    fault: "peer",
    message: "{reason}",
    fix: "Keep less in one shadow, or spread it over named shadows.",
    http: 413,
  },
  SHADOW_ENCODING: {
    fault: "peer",
    message: "{reason}",
    fix: "Send the document as UTF-8.",
    http: 415,
  },
  SHADOW_UNANSWERED: {
    fault: "environment",
    message: "The shadow service has not answered yet: {reason}.",
    fix: "Read the shadow to see whether the change was made; the health page says what holds it up.",
    http: 503,
    retryable: true,
  },
} as const satisfies Record<string, ErrorEntry>;
