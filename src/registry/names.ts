/** Names, ARNs and attributes: what AWS IoT accepts. */
import { TidewireError } from "../base/mod.ts";

/** AWS IoT: `[a-zA-Z0-9:_-]{1,128}`. */
export function checkName(kind: "thing" | "thing type", name: string): void {
  if (!/^[a-zA-Z0-9:_-]{1,128}$/.test(name)) {
    throw invalid(`'${shown(name)}' is no ${kind} name: 1 to 128 letters, digits, ':', '_' and '-'`);
  }
}

/** AWS IoT: `[\w+=,.@-]{1,128}`. */
export function checkPolicyName(name: string): void {
  if (!/^[\w+=,.@-]{1,128}$/.test(name)) {
    throw invalid(`'${shown(name)}' is no policy name: 1 to 128 letters, digits and _+=,.@-`);
  }
}

export const arnOf = {
  thing: (thingName: string): string => `arn:aws:iot:local:000000000000:thing/${thingName}`,
  certificate: (certificateId: string): string => `arn:aws:iot:local:000000000000:cert/${certificateId}`,
  rule: (ruleName: string): string => `arn:aws:iot:local:000000000000:rule/${ruleName}`,
  policy: (policyName: string): string => `arn:aws:iot:local:000000000000:policy/${policyName}`,
};

/** The certificate id in an ARN or as it is; AWS tools send ARNs, people send ids. */
export function certificateIdOf(principal: string): string {
  const id = /^(?:arn:[^:]{1,32}:iot:[^:]{0,32}:[^:]{0,32}:cert\/)?([0-9a-f]{64})$/.exec(principal)?.[1];
  if (id === undefined) {
    throw invalid(`'${shown(principal)}' is neither a certificate id (64 hex digits) nor a certificate's ARN`);
  }
  return id;
}

export function invalid(reason: string): TidewireError {
  return new TidewireError("REQUEST_INVALID", { reason });
}

/** A stranger's text in a message: short, and without control characters. */
export function shown(text: string): string {
  return text.slice(0, 64).replace(/\p{Cc}/gu, "?");
}
