/** Part of the catalogue in `errors.ts`: people and programs who ask the API, their keys and their limits, and the audit log. */
import type { ErrorEntry } from "./errors.ts";

export const PEOPLE_ERRORS = {
  UNAUTHORIZED: {
    fault: "peer",
    message: "The request carries no valid token.",
    fix: "Send `Authorization: Bearer TOKEN`; the administrator token is in DIR/secrets/admin-token, printed at first start.",
    http: 401,
    exit: 4,
  },
  LOGIN_CODE_INVALID: {
    fault: "peer",
    message: "The login link was used already or is too old.",
    fix: "Log in with the administrator token, or make a new link with `tidewire login-link`.",
    http: 401,
  },
  FORBIDDEN_ORIGIN: {
    fault: "peer",
    message: "The request comes from another web site ({origin}).",
    fix: "Open the dashboard at its own address.",
    http: 403,
  },
  TOO_MANY_REQUESTS: {
    fault: "peer",
    message: "Too many requests from this address.",
    fix: "Wait {retryAfter} and try again.",
    http: 429,
    retryable: true,
  },
  PERMISSION_DENIED: {
    fault: "peer",
    message: "{who} may not do this: it needs the permission {permission}{reason}.",
    fix: "Ask an administrator for a role, or a key, that has it.",
    http: 403,
    exit: 4,
  },
} as const satisfies Record<string, ErrorEntry>;
