/** What a claim certificate may do: provision itself by one template, and nothing else. */
import { arnOf } from "../../base/mod.ts";

/**
 * AWS's sample policy forgets `create-from-csr`, lets claims read each other's requests, and lets them use any client
 * identifier; ours is made for the template.
 */
export function claimPolicyDocument(template: string): string {
  const operations = [
    "$aws/certificates/create",
    "$aws/certificates/create-from-csr",
    `$aws/provisioning-templates/${template}/provision`,
  ];
  const requests = operations.flatMap((operation) => [`${operation}/json`, `${operation}/cbor`]);
  const answers = requests.flatMap((topic) => [`${topic}/accepted`, `${topic}/rejected`]);
  // The topics hold no wildcard of a policy; `+` and `#` mean themselves there, and clients subscribe to either form.
  const filters = [...answers, ...requests.map((topic) => `${topic}/+`)];
  const statement = (action: string, kind: string, names: readonly string[]): object => ({
    Effect: "Allow",
    Action: action,
    Resource: names.map((name) => arnOf.resource(`${kind}/${name}`)),
  });
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      statement("iot:Connect", "client", ["*"]),
      statement("iot:Publish", "topic", requests),
      statement("iot:Receive", "topic", answers),
      statement("iot:Subscribe", "topicfilter", filters),
    ],
  });
}

export function claimPolicyName(template: string): string {
  return `tidewire-claim-${template}`;
}
