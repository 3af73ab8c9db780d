/** Amazon resource names, as AWS's documents and tools write them. Region and account say nothing here and are not compared. */

/** There is one account: twelve digits, as AWS's tools expect them. */
export const ACCOUNT_ID = "000000000000";

const ARN = `arn:aws:iot:local:${ACCOUNT_ID}:`;

export const arnOf = {
  thing: (thingName: string): string => `${ARN}thing/${thingName}`,
  type: (thingTypeName: string): string => `${ARN}thingtype/${thingTypeName}`,
  group: (thingGroupName: string): string => `${ARN}thinggroup/${thingGroupName}`,
  certificate: (certificateId: string): string => `${ARN}cert/${certificateId}`,
  authority: (certificateId: string): string => `${ARN}cacert/${certificateId}`,
  rule: (ruleName: string): string => `${ARN}rule/${ruleName}`,
  policy: (policyName: string): string => `${ARN}policy/${policyName}`,
  template: (templateName: string): string => `${ARN}provisioningtemplate/${templateName}`,
  topic: (topic: string): string => `${ARN}topic/${topic}`,
  /** `thinggroup/NAME`, as targets and tagged resources are kept and policies name them. */
  resource: (resource: string): string => `${ARN}${resource}`,
};
