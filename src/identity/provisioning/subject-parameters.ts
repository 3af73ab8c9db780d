/** What a certificate's subject gives to a template that provisions whoever brings the certificate (AWS IoT's JITP). */
import type { DistinguishedName } from "../variables.ts";
import { CERTIFICATE_ID, SUBJECT_PARAMETERS } from "./template-body.ts";

/** AWS IoT's name of the template's parameter where it is not that of the attribute. */
const ATTRIBUTE_OF: Readonly<Record<string, string>> = { StateName: "State" };

/** Attributes that the subject has several times count once, as their first. */
export function subjectParameters(certificateId: string, subject: DistinguishedName): Record<string, string> {
  const parameters: Record<string, string> = { [CERTIFICATE_ID]: certificateId };
  for (const name of SUBJECT_PARAMETERS) {
    const value = subject[ATTRIBUTE_OF[name] ?? name]?.[0];
    if (value !== undefined) parameters[`AWS::IoT::Certificate::${name}`] = value;
  }
  return parameters;
}
