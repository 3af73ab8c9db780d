/** Part of the catalogue in `catalogue.ts`: why the registry refuses a change. */
import type { ErrorEntry } from "./catalogue.ts";

export const REGISTRY_ERRORS = {
  VERSION_CONFLICT: {
    fault: "peer",
    message: "The {kind} '{name}' has version {actual}, not {expected}: somebody else changed it.",
    fix: "Read it again and repeat the change on what it is now.",
    http: 409,
  },
  THING_HAS_PRINCIPALS: {
    fault: "peer",
    message: "The thing '{name}' still has {count} certificate(s) attached.",
    fix: "Detach them first, then delete the thing.",
    http: 400,
  },
  THING_TYPE_STATE: {
    fault: "peer",
    message: "The thing type '{name}' cannot be deleted: {reason}.",
    fix: "{remedy}",
    http: 400,
  },
  GROUP_HAS_CHILDREN: {
    fault: "peer",
    message: "The thing group '{name}' cannot be deleted: the group '{child}' is below it.",
    fix: "Delete the groups below it first.",
    http: 400,
  },
  POLICY_VERSIONS_LIMIT: {
    fault: "peer",
    message: "The policy '{name}' has {limit} versions, which is as many as a policy may have.",
    fix: "Delete a version that is not the default one, then add the new one.",
    http: 409,
  },
  STILL_IN_USE: {
    fault: "peer",
    message: "The {kind} '{name}' cannot be deleted: {reason}.",
    fix: "Detach it everywhere first, then delete it.",
    http: 409,
  },
  CERTIFICATE_INVALID: {
    fault: "peer",
    message: "The certificate cannot be registered: {reason}.",
    fix: "Send the certificate itself in PEM, and register the CA that signed it first, or use RegisterCertificateWithoutCA.",
    http: 400,
  },
  REGISTRATION_CODE_WRONG: {
    fault: "peer",
    message: "The verification certificate does not prove that you have the CA's key: {reason}.",
    fix: "Sign a certificate with the CA's key whose common name is what GetRegistrationCode answers.",
    http: 400,
  },
  CERTIFICATE_STATE: {
    fault: "peer",
    message: "Certificate {id} is {status} and cannot be {wanted}.",
    fix: "{remedy}",
    http: 406,
  },
  SEARCH_QUERY_INVALID: {
    fault: "peer",
    message: "The query is not valid at character {column}: {reason}.",
    fix: "Correct it; `attributes.site:berlin AND connectivity.connected:true` is one, and `tidewire things list --help` shows more.",
    http: 400,
    exit: 2,
  },
  SEARCH_TOO_BROAD: {
    fault: "peer",
    message: "The query finds too much to be counted: it was given up after {seconds} s.",
    fix: "Narrow it down, or page through what it finds.",
    http: 400,
  },
  SEARCH_UNAVAILABLE: {
    fault: "environment",
    message: "The fleet's index cannot be asked: {reason}.",
    fix: "Try again in a moment; where it stays so, restart the platform, which makes the index anew.",
    http: 503,
    retryable: true,
  },
  GROUP_QUERY_CYCLE: {
    fault: "peer",
    message: "The query of '{name}' depends on its own outcome: {path}.",
    fix: "Write a query that does not ask for a group that is filled by what this one finds.",
    http: 400,
  },
} as const satisfies Record<string, ErrorEntry>;
