/** Part of the catalogue in `errors.ts`: why the registry refuses a change. */
import type { ErrorEntry } from "./errors.ts";

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
} as const satisfies Record<string, ErrorEntry>;
